// AVX512-BF16: vdpbf16ps multiplies pairs of bf16 and adds them to fp32. Compiled with these flags;
// see CMakeLists.txt.
#include "kernels/busy_avx512-inl.h"
#include "kernels/kernels-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// Two k a step, as they lie in memory.
struct PairDot {
  using Element = uint16_t;
  using Left = uint16_t;
  static constexpr int kMaxRows = 14, kVectors = 2, kLeftStep = 4;

  template <int kRows>
  static HWY_INLINE void step(const Rows<kRows>& left, int64_t offset, const char* right,
                              Sums<kRows, kVectors>& sums) {
    const FloatTag d;
    const auto r0 = hn::LoadU(d, reinterpret_cast<const float*>(right)).raw;
    const auto r1 = hn::LoadU(d, reinterpret_cast<const float*>(right) + kLanes).raw;
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      // In assembly, because both compilers spill around the intrinsic in high blocks. A pair need
      // not be aligned.
      struct Pair {
        uint16_t k[2];
      };
      __m512 pair;
      asm("vpbroadcastd %[left],%[pair]\n\t"
          "vdpbf16ps %[r0],%[pair],%[s0]\n\t"
          "vdpbf16ps %[r1],%[pair],%[s1]"
          : [pair] "=&v"(pair), [s0] "+v"(sums.v[i][0].raw), [s1] "+v"(sums.v[i][1].raw)
          : [left] "m"(*reinterpret_cast<const Pair*>(left.row(i) + offset)), [r0] "v"(r0),
            [r1] "v"(r1));
    }
  }
};

double multiply_adds_of_pairs(int64_t rounds) {
  const double flops = 24.0 * 32 * 2 * static_cast<double>(rounds);
  TILEWISE_KEEP_BUSY_AVX512("vdpbf16ps", rounds);
  return flops;
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE

TILEWISE_DEFINE_KERNELS(avx512_bf16, bf16, HWY_NAMESPACE::PairDot,
                        HWY_NAMESPACE::multiply_adds_of_pairs)
