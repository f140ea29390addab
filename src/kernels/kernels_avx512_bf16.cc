// AVX512-BF16: vdpbf16ps multiplies pairs of bf16 and adds them to fp32. Compiled with these flags;
// see CMakeLists.txt.
#include "kernels/busy_avx512-inl.h"
#include "kernels/kernels-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// Two k a step, as they lie in memory.
struct PairDot {
  using Block = BlockArgs;
  using Element = uint16_t;
  using Left = uint16_t;
  static constexpr int kMaxRows = 14, kVectors = 2, kLeftStep = 4;

  template <int kRows, int kWidth>
  static HWY_INLINE void step(const Rows<kRows>& left, int64_t offset, const char* right,
                              Sums<kRows, kWidth>& sums) {
    const FloatTag d;
    __m512 r[kWidth];
    HWY_UNROLL(2)
    for (int j = 0; j < kWidth; ++j) {
      r[j] = hn::LoadU(d, reinterpret_cast<const float*>(right) + j * kLanes).raw;
    }
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) multiply_row(left.row(i) + offset, r, sums.v[i]);
  }

 private:
  struct Pair {
    uint16_t k[2];  // need not be aligned as a dword
  };

  // In assembly, because both compilers spill around the intrinsic in high blocks.
  static HWY_INLINE void multiply_row(const char* left, const __m512 (&r)[2], Floats (&sums)[2]) {
    __m512 pair;
    asm("vpbroadcastd %[left],%[pair]\n\t"
        "vdpbf16ps %[r0],%[pair],%[s0]\n\t"
        "vdpbf16ps %[r1],%[pair],%[s1]"
        : [pair] "=&v"(pair), [s0] "+v"(sums[0].raw), [s1] "+v"(sums[1].raw)
        : [left] "m"(*reinterpret_cast<const Pair*>(left)), [r0] "v"(r[0]), [r1] "v"(r[1]));
  }
  static HWY_INLINE void multiply_row(const char* left, const __m512 (&r)[1], Floats (&sums)[1]) {
    asm("vdpbf16ps %[left]%{1to16%},%[r0],%[s0]"
        : [s0] "+v"(sums[0].raw)
        : [left] "m"(*reinterpret_cast<const Pair*>(left)), [r0] "v"(r[0]));
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
