#include "runtime/exits.h"

#include <algorithm>
#include <cmath>

namespace tilewise::runtime {
namespace {

/// 1 / the probability of the larger class.
double inverse_confidence(double logit) { return 1 + std::exp(-std::abs(logit)); }

/// sum(exp((logit - largest) / temperature)), or something over `enough` if it is.
double sum_of_shares(std::span<const float> logits, double largest, double temperature,
                     double enough) {
  double sum = 0;
  for (const float logit : logits) {
    sum += std::exp((logit - largest) / temperature);
    if (sum > enough) break;
  }
  return sum;
}

}  // namespace

bool is_certain(const model::Exit& exit, std::span<const float> logits) {
  const double temperature = exit.temperature;
  const double most = 1 / double{exit.confidence};
  if (logits.size() == 1) return inverse_confidence(logits[0] / temperature) <= most;
  const double largest = *std::max_element(logits.begin(), logits.end());
  // The largest probability is 1 / sum. Not <=: a NaN anywhere must not be certain.
  if (!(sum_of_shares(logits, largest, temperature, most) <= most)) return false;
  if (!exit.below) return true;
  return largest + std::log(sum_of_shares(logits, largest, 1, HUGE_VAL)) >= *exit.below;
}

}  // namespace tilewise::runtime
