// int8 on AVX2 without VNNI: words, multiplied by vpmaddwd. Compiled with these flags; see
// int8.cmake.
#include "kernels/busy_avx2-inl.h"
#include "kernels/int8_kernels-inl.h"
#include "kernels/int8_words-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

struct Avx2WordsDot : WordsDot {
  static constexpr int kMaxRows = 6, kVectors = 2;

  template <int kRows>
  static HWY_INLINE void step(const Rows<kRows>& left, int64_t offset, const char* right,
                              IntSums<kRows, 2>& sums) {
    const auto* weights = reinterpret_cast<const __m256i*>(right);
    multiply_half(left, offset, even_words(weights), even_words(weights + 1), sums);
    // Loaded again: keeping the bytes would take registers that the sums need.
    asm("" : "+r"(weights));
    multiply_half(left, offset + kOddBytes, odd_words(weights), odd_words(weights + 1), sums);
  }

 private:
  struct Pair {
    int16_t k[2];
  };

  static HWY_INLINE __m256i even_words(const __m256i* bytes) {
    return _mm256_srai_epi16(_mm256_slli_epi16(_mm256_loadu_si256(bytes), 8), 8);
  }
  static HWY_INLINE __m256i odd_words(const __m256i* bytes) {
    return _mm256_srai_epi16(_mm256_loadu_si256(bytes), 8);
  }

  template <int kRows>
  static HWY_INLINE void multiply_half(const Rows<kRows>& left, int64_t offset, __m256i r0,
                                       __m256i r1, IntSums<kRows, 2>& sums) {
    HWY_UNROLL(8)
    for (int i = 0; i < kRows; ++i) {
      // In assembly, because compilers hoist the broadcasts of high blocks and then spill.
      __m256i pair, product;
      asm("vpbroadcastd %[left],%[pair]\n\t"
          "vpmaddwd %[r0],%[pair],%[product]\n\t"
          "vpaddd %[product],%[s0],%[s0]\n\t"
          "vpmaddwd %[r1],%[pair],%[pair]\n\t"
          "vpaddd %[pair],%[s1],%[s1]"
          : [pair] "=&x"(pair), [product] "=&x"(product), [s0] "+x"(sums.v[i][0].raw),
            [s1] "+x"(sums.v[i][1].raw)
          : [left] "m"(*reinterpret_cast<const Pair*>(left.row(i) + offset)), [r0] "x"(r0),
            [r1] "x"(r1));
    }
  }
};

/// A multiplication of words is of use only with the addition that follows it.
double multiply_adds_of_words(int64_t rounds) {
  const double operations = 12.0 * 16 * 2 * static_cast<double>(rounds);
  TILEWISE_KEEP_BUSY_AVX2("vpmaddwd %%ymm0,%%ymm1,%%ymm2\n vpaddd %%ymm2,%%ymm\\n,%%ymm\\n",
                          rounds);
  return operations;
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE

TILEWISE_DEFINE_INT8_KERNELS(avx2, HWY_NAMESPACE::Avx2WordsDot,
                             HWY_NAMESPACE::multiply_adds_of_words)
