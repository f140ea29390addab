// The most that the tile unit can do: products of tiles that never leave it.
#include <algorithm>
#include <chrono>

#include "kernels/amx_kernels.h"

namespace tilewise::kernels::amx {

double bf16_peak(double seconds) {
  using Clock = std::chrono::steady_clock;
  constexpr int kRounds = 2000;
  constexpr double kFlops = 4.0 * kRounds * (2 * 16 * 16 * 32);
  begin_pass();
  double best = 0;
  const auto start = Clock::now();
  std::chrono::duration<double> elapsed{};
  while (elapsed.count() < seconds) {
    const auto before = Clock::now();
    multiply_tiles(kRounds);
    const auto after = Clock::now();
    best = std::max(best, kFlops / std::chrono::duration<double>(after - before).count());
    elapsed = after - start;
  }
  end_pass();
  return best;
}

}  // namespace tilewise::kernels::amx
