// The highest rate at which something holds, found by trying.
#pragma once

#include <cstdint>
#include <functional>

#include "base/status.h"

namespace tilewise::client {

struct RateSearch {
  double start = 1000;      ///< the first rate that is tried
  double step = 1.5;        ///< from one rate to the next until one holds and one does not
  double precision = 0.02;  ///< how near the bracket's ends come to each other before it ends
  double lowest = 1;        ///< below this nothing is tried
  double highest = 1e6;
  int32_t tries = 2;  ///< a rate that does not hold is tried so often: others may have disturbed
  double retreat = 0.97;      ///< from a rate that held in short and not in long, to the next
  int32_t confirmations = 6;  ///< that many long tries at most
};

/// Whether a load of that rate is served as it should be.
using Holds = std::function<Result<bool>(double rate)>;

/// Brackets and halves with `holds_shortly`, then asks `holds` from the rate that was found
/// downwards; the first that holds is the answer, 0 where none does. Errors: those of the
/// functions, which end the search.
Result<double> find_highest_rate(const RateSearch& search, const Holds& holds_shortly,
                                 const Holds& holds);

}  // namespace tilewise::client
