#include "client/schedule.h"

#include <cmath>
#include <random>

namespace tilewise::client {

std::vector<std::chrono::nanoseconds> poisson_schedule(double rate, double seconds, uint64_t seed) {
  std::vector<std::chrono::nanoseconds> moments;
  const double expected = rate * seconds;
  moments.reserve(static_cast<size_t>(expected + 5 * std::sqrt(expected) + 16));
  std::mt19937_64 random(seed);
  // The standard says what the generator gives, but not what its distributions make of it.
  const auto uniform = [&random] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  for (double at = 0;;) {
    at -= std::log1p(-uniform()) / rate;
    if (!(at < seconds)) return moments;
    moments.emplace_back(static_cast<int64_t>(at * 1e9));
  }
}

}  // namespace tilewise::client
