// Keys and values of one head as panels (linear.h), so that attention is two runs of the
// micro-kernel: the scores Q K^T have the keys as columns, the context P V the values' dimensions.
// See vector_math-inl.h for the linkage.
#pragma once

#include <cstdint>

#include "kernels/linear.h"
#include "kernels/micro_kernel-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// Rows of one head in the qkv matrix: `rows` tokens of `columns` elements.
template <class Element>
struct HeadRows {
  const char* first = nullptr;
  int64_t stride = 0;  ///< bytes
  int32_t rows = 0;
  int32_t columns = 0;

  HWY_INLINE const Element* row(int32_t i) const {
    return reinterpret_cast<const Element*>(first + i * stride);
  }
};

/// A step's dword of one column, from 1 or 2 elements that need not be aligned.
template <class Element>
HWY_INLINE uint32_t gather_dword(const Element* from, int elements) {
  uint32_t dword = 0;
  __builtin_memcpy(&dword, from, static_cast<size_t>(elements) * sizeof(Element));
  return dword;
}

#if HWY_TARGET != HWY_SCALAR
/// Four dwords of each of four rows; out[i] receives dword i of each, `stride` dwords apart.
HWY_INLINE void transpose_4x4(const uint32_t* const (&rows)[4], uint32_t* out, int64_t stride) {
  const hn::FixedTag<uint32_t, 4> d;
  const hn::FixedTag<uint64_t, 2> dd;
  const auto r0 = hn::LoadU(d, rows[0]), r1 = hn::LoadU(d, rows[1]);
  const auto r2 = hn::LoadU(d, rows[2]), r3 = hn::LoadU(d, rows[3]);
  const auto low01 = hn::BitCast(dd, hn::InterleaveLower(d, r0, r1));
  const auto low23 = hn::BitCast(dd, hn::InterleaveLower(d, r2, r3));
  const auto high01 = hn::BitCast(dd, hn::InterleaveUpper(d, r0, r1));
  const auto high23 = hn::BitCast(dd, hn::InterleaveUpper(d, r2, r3));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(dd, low01, low23)), d, out);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(dd, low01, low23)), d, out + stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(dd, high01, high23)), d, out + 2 * stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(dd, high01, high23)), d, out + 3 * stride);
}
#endif

/// Keys: column = token, steps along the head's dimensions. Columns past the last token repeat it
/// up to a multiple of 4; the softmax leaves their scores out.
template <class Element>
HWY_INLINE void pack_keys(const HeadRows<Element>& keys, int32_t steps, uint32_t* panels) {
  constexpr int kPerStep = 4 / sizeof(Element);
  for (int32_t token = 0; token < keys.rows; token += 4) {
    uint32_t* out = panels + static_cast<int64_t>(token / kPanelColumns) * steps * kPanelColumns +
                    token % kPanelColumns;
    const Element* rows[4];
    for (int i = 0; i < 4; ++i) {
      rows[i] = keys.row(token + i < keys.rows ? token + i : keys.rows - 1);
    }
    int32_t step = 0;
#if HWY_TARGET != HWY_SCALAR
    for (; (step + 4) * kPerStep <= keys.columns; step += 4) {
      const uint32_t* dwords[4];
      for (int i = 0; i < 4; ++i) {
        dwords[i] = reinterpret_cast<const uint32_t*>(rows[i] + step * kPerStep);
      }
      transpose_4x4(dwords, out + step * kPanelColumns, kPanelColumns);
    }
#endif
    for (; step < steps; ++step) {
      const int32_t left = keys.columns - step * kPerStep;
      const int elements = left <= 0 ? 0 : left < kPerStep ? left : kPerStep;
      for (int i = 0; i < 4; ++i) {
        out[step * kPanelColumns + i] = gather_dword(rows[i] + step * kPerStep, elements);
      }
    }
  }
}

/// Values in fp32: column = dimension, a step a token.
HWY_INLINE void pack_value_step(const HeadRows<float>& values, int32_t step, int32_t steps,
                                uint32_t* panels) {
  float* out = reinterpret_cast<float*>(panels) + step * kPanelColumns;
  const bool inside = step < values.rows;
  const float* row = inside ? values.row(step) : nullptr;
  for (int32_t column = 0; column < values.columns; column += kPanelColumns) {
    const int32_t left = values.columns - column;
    const int32_t count = left < kPanelColumns ? left : kPanelColumns;
    if (inside) {
      __builtin_memcpy(out, row + column, static_cast<size_t>(count) * sizeof(float));
    } else {
      __builtin_memset(out, 0, static_cast<size_t>(count) * sizeof(float));
    }
    out += static_cast<int64_t>(steps) * kPanelColumns;
  }
}

/// Values in bf16: a step is a pair of tokens.
HWY_INLINE void pack_value_step(const HeadRows<uint16_t>& values, int32_t step, int32_t steps,
                                uint32_t* panels) {
  const uint16_t* even = 2 * step < values.rows ? values.row(2 * step) : nullptr;
  const uint16_t* odd = 2 * step + 1 < values.rows ? values.row(2 * step + 1) : nullptr;
  int32_t column = 0;
  const auto target = [&] {
    return panels + (static_cast<int64_t>(column / kPanelColumns) * steps + step) * kPanelColumns +
           column % kPanelColumns;
  };
#if HWY_TARGET != HWY_SCALAR
  const hn::FixedTag<uint16_t, 8> d;
  const hn::FixedTag<uint32_t, 4> d32;
  for (; column + 8 <= values.columns; column += 8) {
    const auto a = even != nullptr ? hn::LoadU(d, even + column) : hn::Zero(d);
    const auto b = odd != nullptr ? hn::LoadU(d, odd + column) : hn::Zero(d);
    hn::StoreU(hn::BitCast(d32, hn::InterleaveLower(d, a, b)), d32, target());
    hn::StoreU(hn::BitCast(d32, hn::InterleaveUpper(d, a, b)), d32, target() + 4);
  }
#endif
  for (; column < values.columns; ++column) {
    const uint32_t low = even != nullptr ? even[column] : 0,
                   high = odd != nullptr ? odd[column] : 0;
    *target() = low | high << 16;
  }
}

template <class Element>
HWY_INLINE void pack_values(const HeadRows<Element>& values, int32_t steps, uint32_t* panels) {
  for (int32_t step = 0; step < steps; ++step) pack_value_step(values, step, steps, panels);
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
