// When the requests of an open loop leave.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace tilewise::client {

/// Moments from the start of the load, ascending, all before `seconds`: a Poisson process of `rate`
/// a second. The same on every machine for the same seed.
std::vector<std::chrono::nanoseconds> poisson_schedule(double rate, double seconds, uint64_t seed);

}  // namespace tilewise::client
