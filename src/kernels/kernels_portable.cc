// The sets that run everywhere: whatever vectors the compiler's baseline has (SSE2 on x86-64, NEON
// on Arm).
#include "kernels/kernels-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// The arithmetic of the dot products without their memory: x = x * factor + term, on enough x at a
/// time to hide the latency and few enough to stay in registers.
double multiply_adds(int64_t rounds) {
  constexpr int kIndependent = HWY_TARGET == HWY_NEON ? 24 : 12;
  const FloatTag d;
  volatile float opaque = 0.5f;  // keeps the compiler from knowing the result
  const Floats factor = hn::Set(d, opaque), term = hn::Set(d, opaque);
  Floats x[kIndependent];
  HWY_UNROLL(24)
  for (int i = 0; i < kIndependent; ++i) x[i] = hn::Set(d, opaque + static_cast<float>(i));
  for (int64_t round = 0; round < rounds; ++round) {
    HWY_UNROLL(24)
    for (int i = 0; i < kIndependent; ++i) x[i] = hn::MulAdd(x[i], factor, term);
  }
  Floats total = x[0];
  HWY_UNROLL(24)
  for (int i = 1; i < kIndependent; ++i) total = hn::Add(total, x[i]);
  opaque = hn::GetLane(total);
  return 2.0 * kIndependent * kLanes * static_cast<double>(rounds);
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE

TILEWISE_DEFINE_KERNELS(portable, fp32, HWY_NAMESPACE::Fp32Dot, HWY_NAMESPACE::multiply_adds)
TILEWISE_DEFINE_KERNELS(portable, bf16, HWY_NAMESPACE::WidenedDot, HWY_NAMESPACE::multiply_adds)
