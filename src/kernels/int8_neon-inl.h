// What the int8 dot products of Arm have in common: their instructions multiply s8 by s8. See
// vector_math-inl.h for the linkage.
#pragma once

#include <cstdint>

#include <arm_neon.h>

#include "kernels/int8_block-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// The left operand: the input's bytes, made signed.
struct SignedDot {
  using Block = Int8Block;
  using Element = uint8_t;
  using Left = int8_t;
  static constexpr int kVectors = 4, kLeftStep = 4, kLeftZero = 128;
  static constexpr int kRange = 2048, kRangeBytes = kRange;

  static HWY_INLINE void convert(const char* from, int32_t count, int8_t* to) {
    for (int32_t k = 0; k < count; k += 16) {
      const int8x16_t bytes = vld1q_s8(reinterpret_cast<const int8_t*>(from) + k);
      vst1q_s8(to + k, veorq_s8(bytes, vdupq_n_s8(-128)));
    }
  }

 protected:
  struct Quad {
    int8_t k[4];
  };

  static HWY_INLINE void load_weights(const char* right, int8x16_t (&weights)[4]) {
    HWY_UNROLL(4)
    for (int j = 0; j < 4; ++j) {
      weights[j] = vld1q_s8(reinterpret_cast<const int8_t*>(right) + 16 * j);
    }
  }
};

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
