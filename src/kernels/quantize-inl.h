// QuantizeFn of int8.h in Highway. See vector_math-inl.h for the linkage.
//
// Finite rows become the same bytes and scales on every instruction set: each value takes one
// subtraction, multiplications and an addition, none of them fused, and the largest of a row does
// not depend on the order.
#pragma once

#include <cstdint>

#include "kernels/elements-inl.h"
#include "kernels/int8.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// Calls f(d, column) for whole vectors and then, with one lane, for the columns that are left.
template <class F>
HWY_INLINE void for_values(int32_t columns, F f) {
  const hn::ScalableTag<float> d;
  constexpr int32_t kStep = static_cast<int32_t>(hn::MaxLanes(d));
  int32_t column = 0;
  for (; column + kStep <= columns; column += kStep) f(d, column);
  const hn::CappedTag<float, 1> one;
  for (; column < columns; ++column) f(one, column);
}

/// y of int8.h: the values of a row that are divided by the scale.
template <bool kSmooth, bool kSymmetric>
struct RowValues {
  const uint16_t* input;
  const float* smooth;
  float floor;

  template <class D>
  HWY_INLINE hn::VFromD<D> operator()(D d, int32_t column) const {
    auto value = load(d, input + column);
    if constexpr (!kSymmetric) value = hn::Sub(value, hn::Set(d, floor));
    if constexpr (kSmooth) value = hn::Mul(value, hn::LoadU(d, smooth + column));
    return value;
  }
};

template <bool kSmooth, bool kSymmetric>
HWY_INLINE float largest_of(const RowValues<kSmooth, kSymmetric>& values, int32_t columns) {
  const hn::ScalableTag<float> all;
  auto largest = hn::Zero(all);
  float rest = 0;
  for_values(columns, [&](auto d, int32_t column) {
    auto value = values(d, column);
    if constexpr (kSymmetric) value = hn::Abs(value);
    if constexpr (hn::MaxLanes(d) == 1) {
      const float single = hn::GetLane(value);
      if (single > rest) rest = single;
    } else {
      largest = hn::Max(largest, value);
    }
  });
  const float most = hn::GetLane(hn::MaxOfLanes(all, largest));
  return rest > most ? rest : most;
}

template <bool kSmooth, bool kSymmetric>
HWY_INLINE void quantize_row(const RowValues<kSmooth, kSymmetric>& values, int32_t columns,
                             uint8_t* output, float* scale) {
  constexpr float kSteps = kSymmetric ? 127.0f : 255.0f;
  const float largest = largest_of(values, columns);
  // Under kSmallestRange the inverse could overflow.
  const bool is_zero = !(largest >= kSmallestRange);
  *scale = is_zero ? 0 : largest / kSteps;
  const float inverse = is_zero ? 0 : kSteps / largest;
  // Adding 1.5 * 2^23 rounds to the nearest even integer and leaves it in the low bits.
  constexpr float kRound = 12582912.0f + (kSymmetric ? kSymmetricZero : 0);
  for_values(columns, [&](auto d, int32_t column) {
    auto scaled = hn::Mul(values(d, column), hn::Set(d, inverse));
    if constexpr (!kSymmetric) scaled = hn::Max(scaled, hn::Zero(d));
    const hn::RebindToUnsigned<decltype(d)> du;
    const hn::Rebind<uint8_t, decltype(d)> du8;
    const auto bits = hn::BitCast(du, hn::Add(scaled, hn::Set(d, kRound)));
    hn::StoreU(hn::TruncateTo(du8, bits), du8, output + column);
  });
}

template <bool kSmooth, bool kSymmetric>
HWY_INLINE void quantize_rows(const QuantizeArgs& args) {
  for (int32_t i = 0; i < args.rows; ++i) {
    const char* row = static_cast<const char*>(args.input) + i * args.input_stride;
    const RowValues<kSmooth, kSymmetric> values{reinterpret_cast<const uint16_t*>(row), args.smooth,
                                                args.floor};
    quantize_row(values, args.columns, args.output + i * args.output_stride, args.scales + i);
  }
}

HWY_INLINE void run_quantize(const QuantizeArgs& args) {
  if (args.smooth == nullptr) {
    return args.is_symmetric ? quantize_rows<false, true>(args) : quantize_rows<false, false>(args);
  }
  return args.is_symmetric ? quantize_rows<true, true>(args) : quantize_rows<true, false>(args);
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
