// The most that the tile unit can do: products of tiles that never leave it.
#include "kernels/amx_kernels.h"
#include "kernels/rate_of.h"

namespace tilewise::kernels::amx {
namespace {

constexpr double kOperationsOfRound = 4 * 2 * 16 * 16;  // for one value of k

double busy_bf16(int64_t rounds) {
  multiply_bf16_tiles(static_cast<int>(rounds));
  return static_cast<double>(rounds) * kOperationsOfRound * 32;
}

double busy_int8(int64_t rounds) {
  multiply_int8_tiles(static_cast<int>(rounds));
  return static_cast<double>(rounds) * kOperationsOfRound * 64;
}

/// `busy` runs between begin_pass and end_pass.
template <double (*busy)(int64_t rounds)>
double rate_in_a_pass(double seconds) {
  begin_pass();
  const double rate = rate_of<busy>(seconds);
  end_pass();
  return rate;
}

}  // namespace

double bf16_peak(double seconds) { return rate_in_a_pass<busy_bf16>(seconds); }

double int8_peak(double seconds) { return rate_in_a_pass<busy_int8>(seconds); }

}  // namespace tilewise::kernels::amx
