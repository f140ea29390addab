// The int8 set that runs everywhere: SSE2 on x86-64, NEON on Arm. Compiled with the compiler's
// baseline.
#include "kernels/int8_kernels-inl.h"
#if defined(__aarch64__)
#include "kernels/int8_neon-inl.h"
#else
#include "kernels/int8_words-inl.h"
#endif

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_NEON

/// Words, pairs of which add without saturating, and then to int32.
struct PortableInt8Dot : SignedDot {
  static constexpr int kMaxRows = 5;

  template <int kRows>
  static HWY_INLINE void step(const Rows<kRows>& left, int64_t offset, const char* right,
                              IntSums<kRows, 4>& sums) {
    asm volatile(
        "" ::
            : "memory");  // keeps the loads of the next step from coming early, which spills
    int8x16_t weights[4];
    load_weights(right, weights);
    HWY_UNROLL(8)
    for (int i = 0; i < kRows; ++i) {
      int8x16_t quad;
      asm("ld1r {%[quad].4s},%[left]"
          : [quad] "=w"(quad)
          : [left] "Q"(*reinterpret_cast<const Quad*>(left.row(i) + offset)));
      HWY_UNROLL(4)
      for (int j = 0; j < 4; ++j) multiply_add(quad, weights[j], sums.v[i][j].raw);
    }
  }

  /// The two products of a pair are at most 2 * 128 * 127 < 2^15. In assembly, because compilers
  /// spill around the intrinsics.
  static HWY_INLINE void multiply_add(int8x16_t a, int8x16_t b, int32x4_t& sum) {
    int16x8_t low, high;
    asm("smull %[low].8h,%[a].8b,%[b].8b\n\t"
        "smull2 %[high].8h,%[a].16b,%[b].16b\n\t"
        "addp %[low].8h,%[low].8h,%[high].8h\n\t"
        "sadalp %[sum].4s,%[low].8h"
        : [low] "=&w"(low), [high] "=&w"(high), [sum] "+w"(sum)
        : [a] "w"(a), [b] "w"(b));
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
      PortableInt8Dot::multiply_add(left, right, sums[i]);
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
  static constexpr int kMaxRows = 6, kVectors = 2;

  template <int kRows>
  static HWY_INLINE void step(const Rows<kRows>& left, int64_t offset, const char* right,
                              IntSums<kRows, 2>& sums) {
    const auto* weights = reinterpret_cast<const __m128i*>(right);
    multiply_half(left, offset, even_words(weights), even_words(weights + 1), sums);
    // Loaded again: keeping the bytes would take registers that the sums need.
    asm("" : "+r"(weights));
    multiply_half(left, offset + kOddBytes, odd_words(weights), odd_words(weights + 1), sums);
  }

 private:
  struct Pair {
    int16_t k[2];
  };

  static HWY_INLINE __m128i even_words(const __m128i* bytes) {
    return _mm_srai_epi16(_mm_slli_epi16(_mm_loadu_si128(bytes), 8), 8);
  }
  static HWY_INLINE __m128i odd_words(const __m128i* bytes) {
    return _mm_srai_epi16(_mm_loadu_si128(bytes), 8);
  }

  template <int kRows>
  static HWY_INLINE void multiply_half(const Rows<kRows>& left, int64_t offset, __m128i r0,
                                       __m128i r1, IntSums<kRows, 2>& sums) {
    HWY_UNROLL(8)
    for (int i = 0; i < kRows; ++i) {
      // In assembly, because compilers hoist the loads of high blocks and then spill.
      __m128i pair, product;
      asm("movd %[left],%[pair]\n\t"
          "pshufd $0,%[pair],%[pair]\n\t"
          "movdqa %[pair],%[product]\n\t"
          "pmaddwd %[r0],%[product]\n\t"
          "paddd %[product],%[s0]\n\t"
          "pmaddwd %[r1],%[pair]\n\t"
          "paddd %[pair],%[s1]"
          : [pair] "=&x"(pair), [product] "=&x"(product), [s0] "+x"(sums.v[i][0]),
            [s1] "+x"(sums.v[i][1])
          : [left] "m"(*reinterpret_cast<const Pair*>(left.row(i) + offset)), [r0] "x"(r0),
            [r1] "x"(r1));
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
