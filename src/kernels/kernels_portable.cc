// The sets that run everywhere: whatever vectors the compiler's baseline has (SSE2 on x86-64, NEON
// on Arm).
#include "kernels/kernels-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

double multiply_adds(int64_t rounds) {
  constexpr int kSums = 12;
  const FloatTag d;
  volatile float opaque = 0.5f;  // keeps the compiler from knowing the result
  const Floats x = hn::Set(d, opaque);
  Floats sums[kSums];
  HWY_UNROLL(12)
  for (int i = 0; i < kSums; ++i) sums[i] = hn::Set(d, opaque + static_cast<float>(i));
  for (int64_t round = 0; round < rounds; ++round) {
    HWY_UNROLL(12)
    for (int i = 0; i < kSums; ++i) sums[i] = hn::MulAdd(x, x, sums[i]);
  }
  Floats total = sums[0];
  HWY_UNROLL(12)
  for (int i = 1; i < kSums; ++i) total = hn::Add(total, sums[i]);
  opaque = hn::GetLane(total);
  return 2.0 * kSums * kLanes * static_cast<double>(rounds);
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE

TILEWISE_DEFINE_KERNELS(portable, fp32, HWY_NAMESPACE::Fp32Dot, HWY_NAMESPACE::multiply_adds)
TILEWISE_DEFINE_KERNELS(portable, bf16, HWY_NAMESPACE::WidenedDot, HWY_NAMESPACE::multiply_adds)
