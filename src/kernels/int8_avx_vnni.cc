// AVX-VNNI: vpdpbusd with 256-bit vectors, on processors without AVX-512. Compiled with these
// flags; see int8.cmake.
#include "kernels/busy_avx2-inl.h"
#include "kernels/int8_kernels-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// Four k a step, as they lie in memory.
struct QuadDot {
  using Block = Int8Block;
  using Element = uint8_t;
  using Left = uint8_t;
  static constexpr int kMaxRows = 6, kVectors = 2, kLeftStep = 4, kLeftZero = 0;

  template <int kRows>
  static HWY_INLINE void step(const Rows<kRows>& left, int64_t offset, const char* right,
                              IntSums<kRows, 2>& sums) {
    const __m256i r0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(right));
    const __m256i r1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(right + 32));
    HWY_UNROLL(8)
    for (int i = 0; i < kRows; ++i) {
      // In assembly, because compilers hoist the broadcasts of high blocks and then spill; and as
      // VEX, for the assembler would take AVX-512's encoding.
      __m256i quad;
      asm("vpbroadcastd %[left],%[quad]\n\t"
          "%{vex%} vpdpbusd %[r0],%[quad],%[s0]\n\t"
          "%{vex%} vpdpbusd %[r1],%[quad],%[s1]"
          : [quad] "=&x"(quad), [s0] "+x"(sums.v[i][0].raw), [s1] "+x"(sums.v[i][1].raw)
          : [left] "m"(*reinterpret_cast<const Quad*>(left.row(i) + offset)), [r0] "x"(r0),
            [r1] "x"(r1));
    }
  }

 private:
  struct Quad {
    uint8_t k[4];
  };
};

double multiply_adds_of_quads(int64_t rounds) {
  const double operations = 12.0 * 32 * 2 * static_cast<double>(rounds);
  TILEWISE_KEEP_BUSY_AVX2("%{vex%} vpdpbusd %%ymm0,%%ymm1,%%ymm\\n", rounds);
  return operations;
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE

TILEWISE_DEFINE_INT8_KERNELS(avx_vnni, HWY_NAMESPACE::QuadDot,
                             HWY_NAMESPACE::multiply_adds_of_quads)
