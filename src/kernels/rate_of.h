// How fast a loop is that keeps the arithmetic units busy. Private to this folder.
#pragma once

#include <chrono>
#include <cstdint>

namespace tilewise::kernels {

/// Operations a second of `busy`, which keeps the arithmetic units busy for some rounds and returns
/// the operations that it did. The best of many short slices: a neighbour on the core or an
/// interrupt only ever slows.
template <double (*busy)(int64_t rounds)>
double rate_of(double seconds) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kRounds =
      10000;  // tens of microseconds: far above the cost of reading the clock
  double best = 0;
  const auto start = Clock::now();
  auto before = start;
  do {
    const double operations = busy(kRounds);
    const auto after = Clock::now();
    const double rate = operations / std::chrono::duration<double>(after - before).count();
    if (rate > best) best = rate;
    before = after;
  } while (std::chrono::duration<double>(before - start).count() < seconds);
  return best;
}

}  // namespace tilewise::kernels
