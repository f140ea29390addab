// rows.h in Highway, for activations of type Element: float, or uint16_t for bf16. See
// vector_math-inl.h for the linkage.
#pragma once

#include <cstdint>

#include "kernels/elements-inl.h"
#include "kernels/gelu-inl.h"
#include "kernels/rows.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// Calls f(d, column) for whole vectors and then, with one lane, for the columns that are left.
template <class F>
HWY_INLINE void for_columns(int32_t columns, F f) {
  const hn::ScalableTag<float> d;
  const int32_t lanes = static_cast<int32_t>(hn::Lanes(d));
  int32_t column = 0;
  for (; column + lanes <= columns; column += lanes) f(d, column);
  const hn::CappedTag<float, 1> one;
  for (; column < columns; ++column) f(one, column);
}

/// A sum over the columns of a row: vectors and left-over columns apart, joined at the end.
class RowSum {
 public:
  HWY_INLINE void add(hn::ScalableTag<float> d, hn::Vec<hn::ScalableTag<float>> v) {
    whole_ = hn::Add(whole_, v);
    (void)d;
  }
#if HWY_TARGET != HWY_SCALAR
  HWY_INLINE void add(hn::CappedTag<float, 1> d, hn::Vec<hn::CappedTag<float, 1>> v) {
    rest_ += hn::GetLane(v);
    (void)d;
  }
#endif
  HWY_INLINE float total() const {
    return hn::GetLane(hn::SumOfLanes(hn::ScalableTag<float>(), whole_)) + rest_;
  }

 private:
  hn::Vec<hn::ScalableTag<float>> whole_ = hn::Zero(hn::ScalableTag<float>());
  float rest_ = 0;
};

/// output = (value - mean) / sqrt(variance + epsilon) * gain + bias over one row; value(d, column)
/// gives the row's values and is asked three times: for the mean, for the variance, for the result.
template <class Element, class Value>
HWY_INLINE void normalize_row(int32_t columns, float epsilon, const float* gain, const float* bias,
                              Element* output, Value value) {
  const float count = static_cast<float>(columns);
  RowSum sum;
  for_columns(columns, [&](auto d, int32_t i) { sum.add(d, value(d, i)); });
  const float mean = sum.total() / count;
  RowSum squares;
  for_columns(columns, [&](auto d, int32_t i) {
    const auto difference = hn::Sub(value(d, i), hn::Set(d, mean));
    squares.add(d, hn::Mul(difference, difference));
  });
  const float scale = 1.0f / __builtin_sqrtf(squares.total() / count + epsilon);
  for_columns(columns, [&](auto d, int32_t i) {
    const auto normal = hn::Mul(hn::Sub(value(d, i), hn::Set(d, mean)), hn::Set(d, scale));
    store(d, hn::MulAdd(normal, hn::LoadU(d, gain + i), hn::LoadU(d, bias + i)), output + i);
  });
}

template <class Element>
HWY_INLINE Element* row_of(void* matrix, int64_t stride, int32_t row) {
  return reinterpret_cast<Element*>(static_cast<char*>(matrix) + row * stride);
}
template <class Element>
HWY_INLINE const Element* row_of(const void* matrix, int64_t stride, int32_t row) {
  return reinterpret_cast<const Element*>(static_cast<const char*>(matrix) + row * stride);
}

template <class Element>
HWY_INLINE void run_embed(const EmbedArgs& args) {
  for (int32_t r = 0; r < args.rows; ++r) {
    const int64_t columns = args.columns;
    const auto* word = static_cast<const Element*>(args.word_table) + args.ids[r] * columns;
    const float* position = args.position_table + args.positions[r] * columns;
    auto* output = row_of<Element>(args.output, args.output_stride, r);
    const auto word_and_position = [&](auto d, int32_t i) {
      return hn::Add(load(d, word + i), hn::LoadU(d, position + i));
    };
    if (args.types == nullptr) {
      normalize_row(args.columns, args.epsilon, args.gain, args.bias, output, word_and_position);
    } else {
      const float* type = args.type_table + args.types[r] * columns;
      normalize_row(args.columns, args.epsilon, args.gain, args.bias, output,
                    [&](auto d, int32_t i) {
                      return hn::Add(word_and_position(d, i), hn::LoadU(d, type + i));
                    });
    }
  }
}

template <class Element>
HWY_INLINE void run_add_norm(const AddNormArgs& args) {
  for (int32_t r = 0; r < args.rows; ++r) {
    const auto* input = row_of<Element>(args.input, args.input_stride, r);
    const auto* residual = row_of<Element>(args.residual, args.residual_stride, r);
    normalize_row(args.columns, args.epsilon, args.gain, args.bias,
                  row_of<Element>(args.output, args.output_stride, r), [&](auto d, int32_t i) {
                    return hn::Add(load(d, input + i), load(d, residual + i));
                  });
  }
}

template <class Element, class F>
HWY_INLINE void map_rows(const ActivateArgs& args, F f) {
  for (int32_t r = 0; r < args.rows; ++r) {
    auto* row = row_of<Element>(args.data, args.stride, r);
    for_columns(args.columns,
                [&](auto d, int32_t i) { store(d, f(d, load(d, row + i)), row + i); });
  }
}

template <class Element>
HWY_INLINE void activate_rows(const ActivateArgs& args) {
  switch (args.activation) {
    case model::Activation::identity:
      return;
    case model::Activation::gelu_erf:
      return map_rows<Element>(args, [](auto d, auto x) { return gelu<Element>(d, x); });
    case model::Activation::gelu_tanh:
      return map_rows<Element>(args, [](auto d, auto x) { return GeluTanh(d, x); });
    case model::Activation::relu:
      return map_rows<Element>(args, [](auto d, auto x) { return AtLeast(d, x, 0.0f); });
    case model::Activation::tanh:
      return map_rows<Element>(args, [](auto d, auto x) { return Tanh(d, x); });
  }
}

template <class Element>
HWY_INLINE void run_activate(const ActivateArgs& args) {
  if (args.is_fp32) {
    activate_rows<float>(args);
  } else {
    activate_rows<Element>(args);
  }
}

template <class Element>
HWY_INLINE void run_pool(const PoolArgs& args) {
  for (int32_t s = 0; s < args.sequences; ++s) {
    const int32_t first = args.offsets[s];
    const int32_t count = args.pooling == model::Pooling::cls ? 1 : args.offsets[s + 1] - first;
    const float factor = 1.0f / static_cast<float>(count);
    float* output = row_of<float>(args.output, args.output_stride, s);
    for_columns(args.columns, [&](auto d, int32_t i) {
      auto sum = load(d, row_of<Element>(args.input, args.input_stride, first) + i);
      for (int32_t r = 1; r < count; ++r) {
        sum = hn::Add(sum, load(d, row_of<Element>(args.input, args.input_stride, first + r) + i));
      }
      hn::StoreU(hn::Mul(sum, hn::Set(d, factor)), d, output + i);
    });
  }
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
