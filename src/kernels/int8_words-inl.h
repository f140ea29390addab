// Exact int8 products by pmaddwd, where there is no instruction for them: bytes of weights and
// inputs become words, pairs of which multiply and add to int32 without saturating, as pmaddubsw
// would. See vector_math-inl.h for the linkage.
//
// A quad of k becomes two pairs: k 0 and 2, which are the even bytes, and k 1 and 3.
#pragma once

#include <cstdint>

#include "kernels/int8_block-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// What the dot products over words have in common: the left operand. Of each row the even pairs of
/// a range come first, then the odd ones.
struct WordsDot {
  using Block = Int8Block;
  using Element = uint8_t;
  using Left = int16_t;
  static constexpr int kLeftStep = 4, kLeftZero = 0;
  static constexpr int kRange = 1024, kRangeBytes = 2 * kRange;
  static constexpr int kOddBytes = kRange;  // where the odd pairs begin

  static HWY_INLINE void convert(const char* from, int32_t count, int16_t* to) {
    const hn::ScalableTag<uint16_t> d;
    const auto* bytes = reinterpret_cast<const uint16_t*>(from);
    auto* even = reinterpret_cast<uint16_t*>(to);
    auto* odd = even + kOddBytes / 2;
    for (int32_t i = 0; i < count / 2; i += static_cast<int32_t>(hn::Lanes(d))) {
      const auto words = hn::LoadU(d, bytes + i);
      hn::StoreU(hn::And(words, hn::Set(d, 0xff)), d, even + i);
      hn::StoreU(hn::ShiftRight<8>(words), d, odd + i);
    }
  }
};

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
