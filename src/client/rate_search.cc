#include "client/rate_search.h"

#include <algorithm>
#include <cmath>

namespace tilewise::client {
namespace {

Result<bool> holds_in_some_try(const RateSearch& search, const Holds& holds, double rate) {
  for (int32_t i = 0; i < search.tries; ++i) {
    TILEWISE_ASSIGN_OR_RETURN(const bool held, holds(rate));
    if (held) return true;
  }
  return false;
}

/// The highest rate that held; the next that was tried did not.
Result<double> search_shortly(const RateSearch& search, const Holds& holds) {
  double low = 0, high = 0;  // held; did not hold; 0: not known yet
  double rate = std::clamp(search.start, search.lowest, search.highest);
  while (low == 0 || high == 0) {
    TILEWISE_ASSIGN_OR_RETURN(const bool held, holds_in_some_try(search, holds, rate));
    (held ? low : high) = rate;
    if (held && rate >= search.highest) return rate;
    if (!held && rate <= search.lowest) return 0.0;
    rate =
        std::clamp(held ? rate * search.step : rate / search.step, search.lowest, search.highest);
  }
  while (high > low * (1 + search.precision)) {
    const double middle = std::sqrt(low * high);
    TILEWISE_ASSIGN_OR_RETURN(const bool held, holds_in_some_try(search, holds, middle));
    (held ? low : high) = middle;
  }
  return low;
}

}  // namespace

Result<double> find_highest_rate(const RateSearch& search, const Holds& holds_shortly,
                                 const Holds& holds) {
  TILEWISE_ASSIGN_OR_RETURN(double rate, search_shortly(search, holds_shortly));
  for (int32_t i = 0; i < search.confirmations && rate >= search.lowest; ++i) {
    TILEWISE_ASSIGN_OR_RETURN(const bool held, holds(rate));
    if (held) return rate;
    rate *= search.retreat;
  }
  return 0.0;
}

}  // namespace tilewise::client
