// Layer normalisation (Ba et al. 2016) of several rows at a time, so that their reductions, square
// roots and divisions overlap and gain and bias are read once for all. A row's result is the same
// bits whichever rows lie beside it. See vector_math-inl.h for the linkage.
#pragma once

#include <cstdint>

#include "kernels/elements-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

using NormTag = hn::ScalableTag<float>;

/// Two vectors of columns side by side, the unit of work: of bf16 the even and the odd columns,
/// because a dword holds one of each and no lane need move; of fp32 the lower and the upper half.
struct ColumnPair {
  hn::Vec<NormTag> first, second;
};

HWY_INLINE int32_t pair_columns() { return 2 * static_cast<int32_t>(hn::Lanes(NormTag())); }

HWY_INLINE ColumnPair load_columns(const float* from) {
  const NormTag d;
  return {hn::LoadU(d, from), hn::LoadU(d, from + hn::Lanes(d))};
}

HWY_INLINE ColumnPair load_columns(const uint16_t* from) {
  const NormTag d;
#if HWY_TARGET == HWY_SCALAR
  return {load(d, from), load(d, from + 1)};
#else
  const hn::RebindToUnsigned<NormTag> du;
  const auto both = hn::BitCast(du, hn::LoadU(hn::Repartition<uint16_t, NormTag>(), from));
  return {hn::BitCast(d, hn::ShiftLeft<16>(both)),
          hn::BitCast(d, hn::And(both, hn::Set(du, 0xffff0000U)))};
#endif
}

/// fp32 columns in the order that Element's columns have.
template <class Element>
HWY_INLINE ColumnPair load_fp32_columns(const float* from) {
  const ColumnPair halves = load_columns(from);
  if constexpr (sizeof(Element) == sizeof(float)) {
    return halves;
  } else {
#if HWY_TARGET == HWY_SCALAR
    return halves;
#else
    const NormTag d;
    return {hn::ConcatEven(d, halves.second, halves.first),
            hn::ConcatOdd(d, halves.second, halves.first)};
#endif
  }
}

HWY_INLINE void store_columns(const ColumnPair& v, float* to) {
  const NormTag d;
  hn::StoreU(v.first, d, to);
  hn::StoreU(v.second, d, to + hn::Lanes(d));
}

HWY_INLINE void store_columns(const ColumnPair& v, uint16_t* to) {
#if HWY_TARGET == HWY_SCALAR
  store(NormTag(), v.first, to);
  store(NormTag(), v.second, to + 1);
#elif defined(__AVX512BF16__)
  alignas(64) static constexpr uint16_t kTurns[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                      21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                      11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const auto rounded = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(v.second.raw, v.first.raw));
  _mm512_storeu_si512(to, _mm512_permutexvar_epi16(_mm512_load_si512(kTurns), rounded));
#else
  const hn::RebindToUnsigned<NormTag> du;
  const hn::Repartition<uint16_t, NormTag> du16;
  const auto odd = hn::And(RoundToBf16Bits(du, v.second), hn::Set(du, 0xffff0000U));
  const auto even = hn::ShiftRight<16>(RoundToBf16Bits(du, v.first));
  hn::StoreU(hn::BitCast(du16, hn::Or(odd, even)), du16, to);
#endif
}

HWY_INLINE ColumnPair add(const ColumnPair& a, const ColumnPair& b) {
  return {hn::Add(a.first, b.first), hn::Add(a.second, b.second)};
}

template <class Element>
HWY_INLINE float load_column(const Element* from) {
  return hn::GetLane(load(hn::CappedTag<float, 1>(), from));
}

/// What a layer norm does to every row.
struct Norm {
  int32_t columns;
  float epsilon;
  const float* gain;
  const float* bias;
};

/// The three passes over kRows rows. Values has
///   ColumnPair pair(int row, int32_t column) const   and   float one(int row, int32_t column)
///   const
/// and is never asked for a column that has been written. Between the passes its values lie in
/// `kept`, kRows * columns floats in the order of use, or they are computed again.
template <class Element, int kRows, bool kKeeps, class Values>
class NormOfRows {
 public:
  HWY_INLINE NormOfRows(const Norm& norm, const Values& values, float* kept)
      : norm_(norm),
        values_(values),
        kept_(kept),
        paired_(norm.columns / pair_columns() * pair_columns()) {}

  HWY_INLINE void run(Element* const (&outputs)[kRows]) const {
    const auto count = static_cast<float>(norm_.columns);
    float means[kRows], scales[kRows];
    add_up_values(means);
    for (float& mean : means) mean /= count;
    add_up_squares(means, scales);
    for (float& scale : scales) scale = 1.0f / __builtin_sqrtf(scale / count + norm_.epsilon);
    write(means, scales, outputs);
  }

 private:
  HWY_INLINE void add_up_values(float (&totals)[kRows]) const {
    ColumnPair sums[kRows];
    set_to_zero(sums);
    for (int32_t column = 0; column < paired_; column += pair_columns()) {
      HWY_UNROLL(4)
      for (int r = 0; r < kRows; ++r) {
        const ColumnPair v = values_.pair(r, column);
        if constexpr (kKeeps) store_columns(v, kept_pair(r, column));
        sums[r] = add(sums[r], v);
      }
    }
    add_up_lanes(sums, totals);
    for (int32_t column = paired_; column < norm_.columns; ++column) {
      for (int r = 0; r < kRows; ++r) {
        const float v = values_.one(r, column);
        if constexpr (kKeeps) *kept_one(r, column) = v;
        totals[r] += v;
      }
    }
  }

  /// Squares of the distances from the mean, which replace the values that are kept.
  HWY_INLINE void add_up_squares(const float (&means)[kRows], float (&totals)[kRows]) const {
    ColumnPair sums[kRows];
    set_to_zero(sums);
    for (int32_t column = 0; column < paired_; column += pair_columns()) {
      HWY_UNROLL(4)
      for (int r = 0; r < kRows; ++r) {
        const ColumnPair v = distance_pair(r, column, means[r]);
        if constexpr (kKeeps) store_columns(v, kept_pair(r, column));
        sums[r] = {hn::MulAdd(v.first, v.first, sums[r].first),
                   hn::MulAdd(v.second, v.second, sums[r].second)};
      }
    }
    add_up_lanes(sums, totals);
    for (int32_t column = paired_; column < norm_.columns; ++column) {
      for (int r = 0; r < kRows; ++r) {
        const float v = distance_one(r, column, means[r]);
        if constexpr (kKeeps) *kept_one(r, column) = v;
        totals[r] += v * v;
      }
    }
  }

  HWY_INLINE void write(const float (&means)[kRows], const float (&scales)[kRows],
                        Element* const (&outputs)[kRows]) const {
    const NormTag d;
    for (int32_t column = 0; column < paired_; column += pair_columns()) {
      const ColumnPair gain = load_fp32_columns<Element>(norm_.gain + column);
      const ColumnPair bias = load_fp32_columns<Element>(norm_.bias + column);
      HWY_UNROLL(4)
      for (int r = 0; r < kRows; ++r) {
        const ColumnPair v =
            kKeeps ? load_columns(kept_pair(r, column)) : distance_pair(r, column, means[r]);
        const auto scale = hn::Set(d, scales[r]);
        store_columns({hn::MulAdd(hn::Mul(v.first, scale), gain.first, bias.first),
                       hn::MulAdd(hn::Mul(v.second, scale), gain.second, bias.second)},
                      outputs[r] + column);
      }
    }
    const hn::CappedTag<float, 1> one;
    for (int32_t column = paired_; column < norm_.columns; ++column) {
      for (int r = 0; r < kRows; ++r) {
        const float v = kKeeps ? *kept_one(r, column) : distance_one(r, column, means[r]);
        const float result = v * scales[r] * norm_.gain[column] + norm_.bias[column];
        store(one, hn::Set(one, result), outputs[r] + column);
      }
    }
  }

  HWY_INLINE ColumnPair distance_pair(int row, int32_t column, float mean) const {
    const auto means = hn::Set(NormTag(), mean);
    const ColumnPair v = kKeeps ? load_columns(kept_pair(row, column)) : values_.pair(row, column);
    return {hn::Sub(v.first, means), hn::Sub(v.second, means)};
  }
  HWY_INLINE float distance_one(int row, int32_t column, float mean) const {
    return (kKeeps ? *kept_one(row, column) : values_.one(row, column)) - mean;
  }

  HWY_INLINE float* kept_pair(int row, int32_t column) const {
    return kept_ + column * kRows + row * pair_columns();
  }
  HWY_INLINE float* kept_one(int row, int32_t column) const { return kept_ + column * kRows + row; }

  static HWY_INLINE void set_to_zero(ColumnPair (&sums)[kRows]) {
    const NormTag d;
    HWY_UNROLL(4)
    for (ColumnPair& sum : sums) sum = {hn::Zero(d), hn::Zero(d)};
  }
  static HWY_INLINE void add_up_lanes(const ColumnPair (&sums)[kRows], float (&totals)[kRows]) {
    const NormTag d;
    HWY_UNROLL(4)
    for (int r = 0; r < kRows; ++r) {
      totals[r] = hn::GetLane(hn::SumOfLanes(d, hn::Add(sums[r].first, sums[r].second)));
    }
  }

  const Norm norm_;
  const Values values_;
  float* const kept_;
  const int32_t paired_;  ///< columns that pairs of vectors cover
};

/// Floats that are kept at most.
constexpr int32_t kMostKept = 4096;

template <class Element, int kRows, bool kKeeps, class Source>
HWY_NOINLINE void normalize_rows(const Norm& norm, const Source& source, int32_t row) {
  HWY_ALIGN float kept[kKeeps ? kMostKept : 1];
  const auto values = source.template values<kRows>(row);
  Element* outputs[kRows];
  for (int r = 0; r < kRows; ++r) outputs[r] = source.output(row + r);
  NormOfRows<Element, kRows, kKeeps, decltype(values)>(norm, values, kept).run(outputs);
}

/// Normalises rows [0, rows) of a source: source.values<kRows>(row) gives the Values of the rows
/// from `row` on, source.output(row) where a row goes.
template <class Element, class Source>
HWY_INLINE void normalize(const Norm& norm, int32_t rows, const Source& source) {
  // Compilers keep several rows of emulated vectors in memory: slower than one row.
  constexpr int kGroup = HWY_TARGET == HWY_EMU128 ? 1 : 4;
  int32_t row = 0;
  if (kGroup * norm.columns <= kMostKept) {
    for (; row + kGroup <= rows; row += kGroup) {
      normalize_rows<Element, kGroup, true>(norm, source, row);
    }
  }
  if (norm.columns <= kMostKept) {
    for (; row < rows; ++row) normalize_rows<Element, 1, true>(norm, source, row);
  } else {
    for (; row < rows; ++row) normalize_rows<Element, 1, false>(norm, source, row);
  }
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
