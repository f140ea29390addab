#include "eval/temperature.h"

#include <algorithm>
#include <cmath>

#include "engine/head.h"

namespace tilewise::eval {
namespace {

double sigmoid(double logit) { return 1 / (1 + std::exp(-logit)); }

/// Of the logits, under the probabilities that they give.
struct Moments {
  double mean = 0;
  double variance = 0;
};

/// `sharpness`: 1 / temperature.
Moments moments_of(std::span<const float> logits, double sharpness) {
  if (logits.size() == 1) {
    const double logit = logits[0], positive = sigmoid(sharpness * logit);
    return {positive * logit, positive * (1 - positive) * logit * logit};
  }
  const double largest = *std::max_element(logits.begin(), logits.end());
  double shares = 0, sum = 0, squares = 0;  // of what the logits lie under the largest one
  for (const float logit : logits) {
    const double under = logit - largest;
    const double share = std::exp(sharpness * under);
    shares += share;
    sum += share * under;
    squares += share * under * under;
  }
  const double mean = sum / shares;
  return {largest + mean, std::max(0.0, squares / shares - mean * mean)};
}

/// A binary task's logit stands against 0.
double logit_of(std::span<const float> logits, int32_t index) {
  if (logits.size() == 1) return index == 1 ? logits[0] : 0;
  return logits[static_cast<size_t>(index)];
}

double largest_of(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  return logits.size() == 1 ? std::max(0.0, largest) : largest;
}

/// First and second derivative of the summed log loss by the sharpness, in which it is convex.
struct Slope {
  double gradient = 0;
  double curvature = 0;
};

Slope slope_at(const LabelledLogits& rows, double sharpness) {
  Slope slope;
  for (size_t row = 0; row < rows.rows(); ++row) {
    const auto logits = rows.logits(row);
    const Moments moments = moments_of(logits, sharpness);
    slope.gradient += moments.mean - logit_of(logits, rows.due(row));
    slope.curvature += moments.variance;
  }
  return slope;
}

bool has_minimum(const LabelledLogits& rows) {
  if (!(slope_at(rows, 0).gradient < 0)) return false;
  for (size_t row = 0; row < rows.rows(); ++row) {
    const auto logits = rows.logits(row);
    if (logit_of(logits, rows.due(row)) < largest_of(logits)) return true;
  }
  return false;
}

}  // namespace

// Newton's method on the gradient, held within a bracket around its zero, which is halved where a
// step would leave it.
std::optional<double> best_temperature(const LabelledLogits& rows) {
  constexpr double kPrecision = 1e-9;
  constexpr int kMostSteps = 200;
  if (!has_minimum(rows)) return std::nullopt;
  double low = 0, high = 1;
  for (; slope_at(rows, high).gradient < 0; high *= 2) low = high;
  double sharpness = (low + high) / 2;
  for (int step = 0; step < kMostSteps; ++step) {
    const Slope slope = slope_at(rows, sharpness);
    (slope.gradient < 0 ? low : high) = sharpness;
    double next = sharpness - slope.gradient / slope.curvature;
    if (!(next > low && next < high)) next = (low + high) / 2;
    const double moved = std::abs(next - sharpness);
    sharpness = next;
    if (moved <= kPrecision * sharpness) break;
  }
  return 1 / sharpness;
}

double probability(std::span<const float> logits, int32_t index, double temperature) {
  if (logits.size() == 1) return sigmoid((index == 1 ? 1 : -1) * (logits[0] / temperature));
  return std::exp(logit_of(logits, index) / temperature - engine::log_sum_exp(logits, temperature));
}

}  // namespace tilewise::eval
