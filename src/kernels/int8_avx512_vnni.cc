// AVX512-VNNI: vpdpbusd multiplies quads of u8 and s8 and adds them to int32. Compiled with these
// flags; see int8.cmake.
#include "kernels/busy_avx512-inl.h"
#include "kernels/int8_kernels-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// Four k a step, as they lie in memory.
struct QuadDot {
  using Block = Int8Block;
  using Element = uint8_t;
  using Left = uint8_t;
  static constexpr int kMaxRows = 14, kVectors = 2, kLeftStep = 4, kLeftZero = 0;

  template <int kRows>
  static HWY_INLINE void step(const Rows<kRows>& left, int64_t offset, const char* right,
                              IntSums<kRows, 2>& sums) {
    const __m512i r0 = _mm512_loadu_si512(right);
    const __m512i r1 = _mm512_loadu_si512(right + 64);
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      // In assembly, because both compilers spill around the intrinsic in high blocks.
      __m512i quad;
      asm("vpbroadcastd %[left],%[quad]\n\t"
          "vpdpbusd %[r0],%[quad],%[s0]\n\t"
          "vpdpbusd %[r1],%[quad],%[s1]"
          : [quad] "=&v"(quad), [s0] "+v"(sums.v[i][0].raw), [s1] "+v"(sums.v[i][1].raw)
          : [left] "m"(*reinterpret_cast<const Quad*>(left.row(i) + offset)), [r0] "v"(r0),
            [r1] "v"(r1));
    }
  }

 private:
  struct Quad {
    uint8_t k[4];
  };
};

double multiply_adds_of_quads(int64_t rounds) {
  const double operations = 24.0 * 64 * 2 * static_cast<double>(rounds);
  TILEWISE_KEEP_BUSY_AVX512("vpdpbusd", rounds);
  return operations;
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE

TILEWISE_DEFINE_INT8_KERNELS(avx512_vnni, HWY_NAMESPACE::QuadDot,
                             HWY_NAMESPACE::multiply_adds_of_quads)
