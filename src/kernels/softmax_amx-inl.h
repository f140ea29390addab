// The softmax of attention_amx-inl.h, without the division: exp2(score - the largest score) in
// bf16.
#pragma once

#include <cstdint>

#include "kernels/elements-inl.h"
#include "kernels/tables_amx-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

constexpr int kQueries = 16;  // rows of a tile

/// Rows of fp32 scores and of bf16 weights; strides in elements.
struct SoftmaxRows {
  const float* scores = nullptr;
  int64_t score_stride = 0;
  uint16_t* weights = nullptr;
  int64_t weight_stride = 0;
  int tokens = 0;  ///< scores of a row
  int padded = 0;  ///< weights of a row, a multiple of 32: zeros behind the tokens
};

#if TILEWISE_BESIDE_TILES

/// What the weights of a row need to know of its largest score; see exp2_beside_tiles.
struct RowShifts {
  alignas(64) float shift[kQueries], top[kQueries], lowest[kQueries];
};

/// The largest lane of each of 16 vectors: in four steps that each halve the number of vectors.
HWY_INLINE __m512 largest_lanes(const __m512 (&rows)[kQueries]) {
  __m512 halves[8], quarters[4], pairs[2];
  HWY_UNROLL(8)
  for (int i = 0; i < 8; ++i) {
    halves[i] = _mm512_max_ps(_mm512_shuffle_f32x4(rows[i], rows[i + 8], 0x44),
                              _mm512_shuffle_f32x4(rows[i], rows[i + 8], 0xee));
  }
  HWY_UNROLL(4)
  for (int i = 0; i < 4; ++i) {
    quarters[i] = _mm512_max_ps(_mm512_shuffle_f32x4(halves[i], halves[i + 4], 0x88),
                                _mm512_shuffle_f32x4(halves[i], halves[i + 4], 0xdd));
  }
  HWY_UNROLL(2)
  for (int i = 0; i < 2; ++i) {
    pairs[i] = _mm512_max_ps(_mm512_shuffle_ps(quarters[i], quarters[i + 2], 0x44),
                             _mm512_shuffle_ps(quarters[i], quarters[i + 2], 0xee));
  }
  const __m512 largest = _mm512_max_ps(_mm512_shuffle_ps(pairs[0], pairs[1], 0x88),
                                       _mm512_shuffle_ps(pairs[0], pairs[1], 0xdd));
  const __m512i lane_of_row =
      _mm512_setr_epi32(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15);
  return _mm512_permutexvar_ps(lane_of_row, largest);
}

/// All 16 rows, whether they are wanted or not.
HWY_INLINE RowShifts row_shifts(const SoftmaxRows& rows, int last, __mmask16 valid) {
  __m512 largest[kQueries];
  HWY_UNROLL(16)
  for (int row = 0; row < kQueries; ++row) {
    largest[row] = _mm512_mask_load_ps(_mm512_set1_ps(-__builtin_inff()), valid,
                                       rows.scores + row * rows.score_stride + last);
  }
  for (int i = 0; i < last; i += 16) {
    HWY_UNROLL(16)
    for (int row = 0; row < kQueries; ++row) {
      largest[row] =
          _mm512_max_ps(largest[row], _mm512_load_ps(rows.scores + row * rows.score_stride + i));
    }
  }
  const Exp2Shift shift = exp2_shift(largest_lanes(largest));
  RowShifts shifts;
  _mm512_store_ps(shifts.shift, shift.shift);
  _mm512_store_ps(shifts.top, shift.top);
  _mm512_store_ps(shifts.lowest, shift.lowest);
  return shifts;
}

/// `after_row` is called after each row, so that other work can lie between them.
template <class AfterRow>
HWY_INLINE void softmax(const SoftmaxRows& rows, int queries, AfterRow after_row) {
  const int last = (rows.tokens - 1) / 16 * 16;
  const auto valid = static_cast<__mmask16>(0xffffU >> (15 - (rows.tokens - 1) % 16));
  constexpr __mmask16 kAll = 0xffff;
  const RowShifts shifts = row_shifts(rows, last, valid);
  for (int row = 0; row < queries; ++row) {
    const float* HWY_RESTRICT scores = rows.scores + row * rows.score_stride;
    uint16_t* HWY_RESTRICT weights = rows.weights + row * rows.weight_stride;
    const Exp2Shift shift = {_mm512_set1_ps(shifts.shift[row]), _mm512_set1_ps(shifts.top[row]),
                             _mm512_set1_ps(shifts.lowest[row])};
    const auto weight = [&](int i, __mmask16 lanes) {
      return exp2_beside_tiles(lanes, _mm512_load_ps(scores + i), shift);
    };
    const auto store = [&](int i, __m512 low, __m512 high) {
      _mm512_store_si512(weights + i, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
    };
    int i = 0;
    for (; i + 16 < last; i += 32) store(i, weight(i, kAll), weight(i + 16, kAll));
    if (i < last) {
      store(i, weight(i, kAll), weight(last, valid));
    } else {
      store(i, weight(last, valid), _mm512_setzero_ps());
    }
    after_row();
  }
}

#else

HWY_INLINE void softmax_row(const float* HWY_RESTRICT scores, int tokens,
                            uint16_t* HWY_RESTRICT weights, int padded) {
  const hn::ScalableTag<float> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const int last = (tokens - 1) / lanes * lanes;
  const auto valid = hn::FirstN(d, static_cast<size_t>(tokens - last));
  const auto tail =
      hn::IfThenElse(valid, hn::Load(d, scores + last), hn::Set(d, -__builtin_inff()));
  auto largest = tail;
  for (int i = 0; i < last; i += lanes) largest = hn::Max(largest, hn::Load(d, scores + i));
  largest = hn::MaxOfLanes(d, largest);
  for (int i = 0; i < last; i += lanes)
    store(d, Exp2(d, hn::Sub(hn::Load(d, scores + i), largest)), weights + i);
  store(d, Exp2(d, hn::Sub(tail, largest)), weights + last);
  for (int i = last + lanes; i < padded; i += lanes) store(d, hn::Zero(d), weights + i);
}

/// `after_row` is called after each row, so that other work can lie between them.
template <class AfterRow>
HWY_INLINE void softmax(const SoftmaxRows& rows, int queries, AfterRow after_row) {
  for (int row = 0; row < queries; ++row) {
    softmax_row(rows.scores + row * rows.score_stride, rows.tokens,
                rows.weights + row * rows.weight_stride, rows.padded);
    after_row();
  }
}

#endif

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
