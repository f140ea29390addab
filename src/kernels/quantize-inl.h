// QuantizeFn of int8.h in Highway. See vector_math-inl.h for the linkage.
//
// Finite rows become the same bytes and scales on every instruction set: each value takes one
// subtraction, multiplications and an addition, none of them fused, and the largest of a row does
// not depend on the order.
//
// Columns go in blocks whose bytes fill a vector. A dword holds two columns of bf16, so the even
// and the odd columns are widened apart, and come together again as bytes.
#pragma once

#include <cstdint>

#include "kernels/elements-inl.h"
#include "kernels/int8.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

using QuantTag = hn::ScalableTag<float>;
using QuantBits = hn::RebindToUnsigned<QuantTag>;
using QuantInts = hn::RebindToSigned<QuantTag>;

constexpr int32_t kPairLanes = static_cast<int32_t>(hn::MaxLanes(QuantTag()));
constexpr int32_t kPairColumns = 2 * kPairLanes;  // columns of a vector of dwords
constexpr int32_t kQuantBlock = 2 * kPairColumns;

/// Some columns of a row, a multiple of kQuantBlock.
struct RowPart {
  const uint16_t* input;
  const float* smooth;  ///< if there is one
  int32_t columns;
  uint8_t* output;
};

/// y of int8.h of the even columns, and of the odd ones.
struct Pair {
  hn::Vec<QuantTag> even, odd;
};

template <bool kSmooth, bool kSymmetric>
HWY_INLINE Pair values_of(const RowPart& part, int32_t column, float floor) {
  const QuantTag d;
  const QuantBits du;
  const auto bits = hn::LoadU(du, reinterpret_cast<const uint32_t*>(part.input + column));
  Pair y{hn::BitCast(d, hn::ShiftLeft<16>(bits)),
         hn::BitCast(d, hn::And(bits, hn::Set(du, 0xffff0000U)))};
  if constexpr (!kSymmetric) {
    y.even = hn::Sub(y.even, hn::Set(d, floor));
    y.odd = hn::Sub(y.odd, hn::Set(d, floor));
  }
  if constexpr (kSmooth) {
    const auto low = hn::LoadU(d, part.smooth + column);
    const auto high = hn::LoadU(d, part.smooth + column + kPairLanes);
    y.even = hn::Mul(y.even, hn::ConcatEven(d, high, low));
    y.odd = hn::Mul(y.odd, hn::ConcatOdd(d, high, low));
  }
  return y;
}

/// The largest y, or |y|, seen so far. In integers: the bits of numbers that are not negative are
/// in the order of the numbers, and a NaN is above all.
template <bool kSmooth, bool kSymmetric>
class Largest {
  using Ints = hn::Vec<QuantInts>;

 public:
  HWY_INLINE Largest() : even_(hn::Zero(QuantInts())), odd_(hn::Zero(QuantInts())) {}

  HWY_INLINE void see(const RowPart& part, float floor) {
    for (int32_t column = 0; column < part.columns; column += kPairColumns) {
      const Pair y = values_of<kSmooth, kSymmetric>(part, column, floor);
      even_ = hn::Max(even_, order_of(y.even));
      odd_ = hn::Max(odd_, order_of(y.odd));
    }
  }
  HWY_INLINE float value() const {
    const QuantInts di;
    const int32_t bits = hn::GetLane(hn::MaxOfLanes(di, hn::Max(even_, odd_)));
    return __builtin_bit_cast(float, bits);
  }

 private:
  static HWY_INLINE Ints order_of(hn::Vec<QuantTag> y) {
    const QuantInts di;
    const auto bits = hn::BitCast(di, y);
    return kSymmetric ? hn::And(bits, hn::Set(di, 0x7fffffff)) : bits;
  }

  Ints even_, odd_;
};

/// The same of bf16 as it lies in memory, two columns a dword: |x| of the symmetric case.
template <>
class Largest<false, true> {
  using Words = hn::Repartition<int16_t, QuantTag>;

 public:
  HWY_INLINE Largest() : words_(hn::Zero(Words())) {}

  HWY_INLINE void see(const RowPart& part, float /*floor*/) {
    const Words d;
    for (int32_t column = 0; column < part.columns; column += kPairColumns) {
      const auto bits = hn::LoadU(d, reinterpret_cast<const int16_t*>(part.input + column));
      words_ = hn::Max(words_, hn::And(bits, hn::Set(d, 0x7fff)));
    }
  }
  HWY_INLINE float value() const {
    const QuantInts di;
    const auto both = hn::BitCast(di, words_);
    const auto even = hn::ShiftLeft<16>(both);
    const auto odd = hn::And(both, hn::Set(di, 0x7fff0000));
    const int32_t bits = hn::GetLane(hn::MaxOfLanes(di, hn::Max(even, odd)));
    return __builtin_bit_cast(float, bits);
  }

 private:
  hn::Vec<Words> words_;
};

template <bool kSmooth, bool kSymmetric>
HWY_INLINE void write_bytes(const RowPart& part, float floor, float inverse) {
  const QuantTag d;
  const QuantBits du;
  // Adding 1.5 * 2^23 rounds to the nearest even integer and leaves it in the lowest byte, the one
  // above being zero.
  constexpr float kRound = 12582912.0f + (kSymmetric ? kSymmetricZero : 0);
  const auto rounded = [&](hn::Vec<QuantTag> y) {
    auto scaled = hn::Mul(y, hn::Set(d, inverse));
    if constexpr (!kSymmetric) scaled = hn::Max(scaled, hn::Zero(d));
    return hn::BitCast(du, hn::Add(scaled, hn::Set(d, kRound)));
  };
  const auto words = [&](int32_t column) {
    const Pair y = values_of<kSmooth, kSymmetric>(part, column, floor);
    return hn::Or(rounded(y.even), hn::ShiftLeft<8>(rounded(y.odd)));
  };
  for (int32_t column = 0; column < part.columns; column += kQuantBlock) {
    store_halves(du, words(column), hn::ShiftLeft<16>(words(column + kPairColumns)),
                 part.output + column);
  }
}

template <bool kSmooth, bool kSymmetric>
class Quantizer {
 public:
  HWY_INLINE explicit Quantizer(const QuantizeArgs& args)
      : args_(args), whole_(args.columns / kQuantBlock * kQuantBlock) {
    if constexpr (kSmooth) {
      for (int32_t i = 0; i < kQuantBlock && has_rest(); ++i) {
        rest_smooth_[i] = args.smooth[rest_column(i)];
      }
    }
  }

  HWY_INLINE void run() {
    for (int32_t i = 0; i < args_.rows; ++i) {
      const char* input = static_cast<const char*>(args_.input) + i * args_.input_stride;
      quantize_row(reinterpret_cast<const uint16_t*>(input), args_.output + i * args_.output_stride,
                   args_.scales + i);
    }
  }

 private:
  HWY_INLINE bool has_rest() const { return whole_ < args_.columns; }
  /// Columns that do not fill a block are filled up with copies of the last.
  HWY_INLINE int32_t rest_column(int32_t i) const {
    return whole_ + i < args_.columns ? whole_ + i : args_.columns - 1;
  }

  HWY_INLINE void quantize_row(const uint16_t* input, uint8_t* output, float* scale) {
    const RowPart whole{input, args_.smooth, whole_, output};
    const RowPart rest{rest_input_, rest_smooth_, kQuantBlock, output + whole_};
    Largest<kSmooth, kSymmetric> seen;
    seen.see(whole, args_.floor);
    if (has_rest()) {
      for (int32_t i = 0; i < kQuantBlock; ++i) rest_input_[i] = input[rest_column(i)];
      seen.see(rest, args_.floor);
    }
    const float largest = seen.value();
    constexpr float kSteps = kSymmetric ? 127.0f : 255.0f;
    const bool is_zero = largest < kSmallestRange;  // its inverse could overflow
    *scale = is_zero ? 0 : largest / kSteps;
    const float inverse = is_zero ? 0 : kSteps / largest;
    write_bytes<kSmooth, kSymmetric>(whole, args_.floor, inverse);
    if (has_rest()) write_bytes<kSmooth, kSymmetric>(rest, args_.floor, inverse);
  }

  const QuantizeArgs& args_;
  int32_t whole_;  // columns in whole blocks
  HWY_ALIGN uint16_t rest_input_[kQuantBlock];
  HWY_ALIGN float rest_smooth_[kQuantBlock];
};

HWY_INLINE void run_quantize(const QuantizeArgs& args) {
  if (args.smooth == nullptr) {
    return args.is_symmetric ? Quantizer<false, true>(args).run()
                             : Quantizer<false, false>(args).run();
  }
  return args.is_symmetric ? Quantizer<true, true>(args).run() : Quantizer<true, false>(args).run();
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
