// AVX2 and FMA: fp32, and bf16 widened to fp32. Compiled with these flags; see CMakeLists.txt.
#include "kernels/busy_avx2-inl.h"
#include "kernels/kernels-inl.h"

namespace tilewise::kernels::avx2 {
namespace {

double multiply_adds(int64_t rounds) {
  const double flops = 12.0 * 8 * 2 * static_cast<double>(rounds);
  TILEWISE_KEEP_BUSY_AVX2("vfmadd231ps %%ymm0,%%ymm1,%%ymm\\n", rounds);
  return flops;
}

}  // namespace
}  // namespace tilewise::kernels::avx2

TILEWISE_DEFINE_KERNELS(avx2, fp32, HWY_NAMESPACE::Fp32Dot, avx2::multiply_adds)
TILEWISE_DEFINE_KERNELS(avx2, bf16, HWY_NAMESPACE::WidenedDot, avx2::multiply_adds)
