// The int8 set that runs everywhere: SSE2 on x86-64, NEON on Arm. Compiled with the compiler's
// baseline.
#include "kernels/int8_kernels-inl.h"
#include "kernels/int8_words-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_NEON

/// s8 x s8: the input's bytes are made signed beforehand.
struct PortableInt8Dot {
  using Block = Int8Block;
  using Element = uint8_t;
  using Left = int8_t;
  static constexpr int kMaxRows = 5, kVectors = 4, kLeftStep = 4, kLeftZero = 128;
  static constexpr int kRange = 2048, kRangeBytes = kRange;

  static HWY_INLINE void convert(const char* from, int32_t count, int8_t* to) {
    for (int32_t k = 0; k < count; k += 16) {
      const int8x16_t bytes = vld1q_s8(reinterpret_cast<const int8_t*>(from) + k);
      vst1q_s8(to + k, veorq_s8(bytes, vdupq_n_s8(-128)));
    }
  }

  template <int kRows>
  static HWY_INLINE void step(const Rows<kRows>& left, int64_t offset, const char* right,
                              IntSums<kRows, 4>& sums) {
    int8x16_t r[4];
    HWY_UNROLL(4)
    for (int j = 0; j < 4; ++j) r[j] = vld1q_s8(reinterpret_cast<const int8_t*>(right) + 16 * j);
    HWY_UNROLL(8)
    for (int i = 0; i < kRows; ++i) {
      // Keeps the loads of later rows where they are, so that registers suffice.
      asm volatile("" ::: "memory");
      const int8x16_t quad = vreinterpretq_s8_s32(
          vld1q_dup_s32(reinterpret_cast<const int32_t*>(left.row(i) + offset)));
      HWY_UNROLL(4)
      for (int j = 0; j < 4; ++j) {
        // A pair sums to at most 2 * 128 * 127 < 2^15.
        const int16x8_t low = vmull_s8(vget_low_s8(quad), vget_low_s8(r[j]));
        const int16x8_t high = vmull_high_s8(quad, r[j]);
        sums.v[i][j].raw = vpadalq_s16(sums.v[i][j].raw, vpaddq_s16(low, high));
      }
    }
  }
};

/// The arithmetic of a step without its memory.
double portable_multiply_adds(int64_t rounds) {
  constexpr int kIndependent = 20;
  volatile int8_t opaque = 3;  // keeps the compiler from knowing the result
  int8x16_t left = vdupq_n_s8(opaque), right = vdupq_n_s8(opaque);
  int32x4_t sums[kIndependent];
  HWY_UNROLL(20)
  for (int i = 0; i < kIndependent; ++i) sums[i] = vdupq_n_s32(opaque);
  for (int64_t round = 0; round < rounds; ++round) {
    HWY_UNROLL(20)
    for (int i = 0; i < kIndependent; ++i) {
      asm("" : "+w"(left), "+w"(right));  // multiplied anew each time
      const int16x8_t low = vmull_s8(vget_low_s8(left), vget_low_s8(right));
      const int16x8_t high = vmull_high_s8(left, right);
      sums[i] = vpadalq_s16(sums[i], vpaddq_s16(low, high));
    }
  }
  int32x4_t total = sums[0];
  HWY_UNROLL(20)
  for (int i = 1; i < kIndependent; ++i) total = vaddq_s32(total, sums[i]);
  volatile int32_t result = vaddvq_s32(total);
  (void)result;
  return 2.0 * 16 * kIndependent * static_cast<double>(rounds);
}

#else

/// Words in SSE2.
struct PortableInt8Dot : WordsDot {
  static constexpr int kMaxRows = 5, kVectors = 2;

  template <int kRows>
  static HWY_INLINE void step(const Rows<kRows>& left, int64_t offset, const char* right,
                              IntSums<kRows, 2>& sums) {
    const auto* weights = reinterpret_cast<const __m128i*>(right);
    {
      const __m128i r0 = _mm_srai_epi16(_mm_slli_epi16(_mm_loadu_si128(weights), 8), 8);
      const __m128i r1 = _mm_srai_epi16(_mm_slli_epi16(_mm_loadu_si128(weights + 1), 8), 8);
      multiply_half(left, offset, r0, r1, sums);
    }
    asm("" : "+r"(weights));  // loaded again: keeping them would take registers that the sums need
    const __m128i r0 = _mm_srai_epi16(_mm_loadu_si128(weights), 8);
    const __m128i r1 = _mm_srai_epi16(_mm_loadu_si128(weights + 1), 8);
    multiply_half(left, offset + kOddBytes, r0, r1, sums);
  }

 private:
  template <int kRows>
  static HWY_INLINE void multiply_half(const Rows<kRows>& left, int64_t offset, __m128i r0,
                                       __m128i r1, IntSums<kRows, 2>& sums) {
    HWY_UNROLL(8)
    for (int i = 0; i < kRows; ++i) {
      int32_t pair;
      __builtin_memcpy(&pair, left.row(i) + offset, sizeof pair);
      const __m128i value = _mm_set1_epi32(pair);
      sums.v[i][0] = _mm_add_epi32(sums.v[i][0], _mm_madd_epi16(value, r0));
      sums.v[i][1] = _mm_add_epi32(sums.v[i][1], _mm_madd_epi16(value, r1));
    }
  }
};

/// The arithmetic of a step without its memory.
double portable_multiply_adds(int64_t rounds) {
  const double operations = 2.0 * 8 * 10 * static_cast<double>(rounds);
  asm volatile(
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n pxor %%xmm\\n,%%xmm\\n\n.endr\n"
      "1:\n"
      ".irp n,4,5,6,7,8,9,10,11,12,13\n"
      " movdqa %%xmm0,%%xmm1\n pmaddwd %%xmm2,%%xmm1\n paddd %%xmm1,%%xmm\\n\n.endr\n"
      "dec %0\n"
      "jnz 1b\n"
      : "+r"(rounds)
      :
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
        "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  return operations;
}

#endif

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE

TILEWISE_DEFINE_INT8_KERNELS(portable, HWY_NAMESPACE::PortableInt8Dot,
                             HWY_NAMESPACE::portable_multiply_adds)
