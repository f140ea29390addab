// AVX2 and FMA: fp32, and bf16 widened to fp32. Compiled with these flags; see CMakeLists.txt.
#include "kernels/kernels-inl.h"

namespace tilewise::kernels::avx2 {
namespace {

double multiply_adds(int64_t rounds) {
  const double flops = 12.0 * 8 * 2 * static_cast<double>(rounds);
  // Factors are zero, so that nothing becomes denormal or infinite.
  asm volatile(
      "vzeroall\n"
      "1:\n"
      ".irp n,4,5,6,7,8,9,10,11,12,13,14,15\n vfmadd231ps %%ymm0,%%ymm1,%%ymm\\n\n.endr\n"
      "dec %0\n"
      "jnz 1b\n"
      : "+r"(rounds)
      :
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
        "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  return flops;
}

}  // namespace
}  // namespace tilewise::kernels::avx2

TILEWISE_DEFINE_KERNELS(avx2, fp32, HWY_NAMESPACE::Fp32Dot, avx2::multiply_adds)
TILEWISE_DEFINE_KERNELS(avx2, bf16, HWY_NAMESPACE::WidenedDot, avx2::multiply_adds)
