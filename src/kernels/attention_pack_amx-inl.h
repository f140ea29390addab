// Keys and values of one head as right operands of the tile unit: 16 rows of 16 dwords, a dword
// holding two consecutive values of the dimension that the product sums over.
#pragma once

#include <cstdint>

#include "kernels/vector_math-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

constexpr int64_t kTileBytes = 1024;
constexpr int64_t kTileRowBytes = 64;

#if HWY_TARGET == HWY_SCALAR

/// Keys: 16 dwords of each of 16 tokens (`stride` bytes apart) become a tile with a token in each
/// column.
HWY_INLINE void transpose_keys(const char* tokens, int64_t stride, char* tile) {
  for (int token = 0; token < 16; ++token) {
    for (int dword = 0; dword < 16; ++dword) {
      __builtin_memcpy(tile + dword * kTileRowBytes + token * 4,
                       tokens + token * stride + dword * 4, 4);
    }
  }
}

#else

/// Blocks of four dwords, `stride` bytes apart in memory, side by side in a vector.
template <class D>
HWY_INLINE hn::VFromD<D> load_blocks(D d, const char* from, int64_t stride) {
  constexpr size_t kBlocks = hn::MaxLanes(D()) / 4;
  if constexpr (kBlocks == 1) {
    return hn::LoadU(d, reinterpret_cast<const uint32_t*>(from));
  } else {
    const hn::Half<D> half;
    return hn::Combine(d, load_blocks(half, from + kBlocks / 2 * stride, stride),
                       load_blocks(half, from, stride));
  }
}

/// Keys: 16 dwords of each of 16 tokens (`stride` bytes apart) become a tile with a token in each
/// column.
HWY_INLINE void transpose_keys(const char* tokens, int64_t stride, char* tile) {
  const hn::ScalableTag<uint32_t> d;
  const hn::Repartition<uint64_t, decltype(d)> d64;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const auto store = [d](auto v, char* to) HWY_ATTR {
    hn::StoreU(hn::BitCast(d, v), d, reinterpret_cast<uint32_t*>(to));
  };
  HWY_UNROLL(4)
  for (int first = 0; first < 16; first += lanes) {
    HWY_UNROLL(4)
    for (int block = 0; block < 4; ++block) {
      // Vector i holds block `block` of the tokens i, i + 4, i + 8, ...; then each 4 x 4 block is
      // transposed in place.
      const char* from = tokens + first * stride + block * 16;
      const auto v0 = load_blocks(d, from, 4 * stride),
                 v1 = load_blocks(d, from + stride, 4 * stride);
      const auto v2 = load_blocks(d, from + 2 * stride, 4 * stride),
                 v3 = load_blocks(d, from + 3 * stride, 4 * stride);
      const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d, v0, v1));
      const auto low23 = hn::BitCast(d64, hn::InterleaveLower(d, v2, v3));
      const auto high01 = hn::BitCast(d64, hn::InterleaveUpper(d, v0, v1));
      const auto high23 = hn::BitCast(d64, hn::InterleaveUpper(d, v2, v3));
      char* to = tile + 4 * block * kTileRowBytes + first * 4;
      store(hn::InterleaveLower(d64, low01, low23), to);
      store(hn::InterleaveUpper(d64, low01, low23), to + kTileRowBytes);
      store(hn::InterleaveLower(d64, high01, high23), to + 2 * kTileRowBytes);
      store(hn::InterleaveUpper(d64, high01, high23), to + 3 * kTileRowBytes);
    }
  }
}

#endif

/// Values: 32 columns of two tokens become a row of two tiles, the first for even columns, the
/// second for odd ones, which store_interleaved brings together again.
HWY_INLINE void pair_values(const char* first_token, const char* second_token, char* even_row,
                            char* odd_row) {
  const hn::ScalableTag<uint32_t> d;
  const auto upper = hn::Set(d, 0xffff0000U), lower = hn::Set(d, 0x0000ffffU);
  for (size_t i = 0; i < 16; i += hn::Lanes(d)) {
    const auto a = hn::LoadU(d, reinterpret_cast<const uint32_t*>(first_token) + i);
    const auto b = hn::LoadU(d, reinterpret_cast<const uint32_t*>(second_token) + i);
    hn::StoreU(hn::Or(hn::And(a, lower), hn::ShiftLeft<16>(b)), d,
               reinterpret_cast<uint32_t*>(even_row) + i);
    hn::StoreU(hn::Or(hn::ShiftRight<16>(a), hn::And(b, upper)), d,
               reinterpret_cast<uint32_t*>(odd_row) + i);
  }
}

/// Rounds even and odd columns to nearest bf16 and stores them in turns.
template <class D, class V>
HWY_INLINE void store_interleaved(D, V even, V odd, uint16_t* to) {
#if defined(__AVX512BF16__)
  alignas(64) static constexpr uint16_t kTurns[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                      21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                      11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const auto both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(odd.raw, even.raw));
  _mm512_storeu_si512(to, _mm512_permutexvar_epi16(_mm512_load_si512(kTurns), both));
#else
  const hn::RebindToUnsigned<D> du;
  const auto upper = hn::And(RoundToBf16Bits(du, odd), hn::Set(du, 0xffff0000U));
  const auto lower = hn::ShiftRight<16>(RoundToBf16Bits(du, even));
  hn::StoreU(hn::Or(upper, lower), du, reinterpret_cast<uint32_t*>(to));
#endif
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
