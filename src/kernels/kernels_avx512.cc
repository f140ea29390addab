// AVX-512 without its bf16 instructions: fp32, and bf16 widened to fp32. Compiled with these flags;
// see CMakeLists.txt.
#include "kernels/busy_avx512-inl.h"
#include "kernels/kernels-inl.h"

namespace tilewise::kernels::avx512 {
namespace {

double multiply_adds(int64_t rounds) {
  const double flops = 24.0 * 16 * 2 * static_cast<double>(rounds);
  TILEWISE_KEEP_BUSY_AVX512("vfmadd231ps", rounds);
  return flops;
}

}  // namespace
}  // namespace tilewise::kernels::avx512

TILEWISE_DEFINE_KERNELS(avx512, fp32, HWY_NAMESPACE::Fp32Dot, avx512::multiply_adds)
TILEWISE_DEFINE_KERNELS(avx512, bf16, HWY_NAMESPACE::WidenedDot, avx512::multiply_adds)
