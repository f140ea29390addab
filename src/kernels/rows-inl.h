// rows.h in Highway, for activations of type Element: float, or uint16_t for bf16. See
// vector_math-inl.h for the linkage.
#pragma once

#include <cstdint>

#include "kernels/elements-inl.h"
#include "kernels/gelu-inl.h"
#include "kernels/rows.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

constexpr int kChains =
    4;  // independent sums, so that one addition need not wait for the one before

/// Calls f(d, column, chain) for whole vectors, chain going round from 0 to kChains - 1, and then,
/// with one lane and chain 0, for the columns that are left.
template <class F>
HWY_INLINE void for_columns(int32_t columns, F f) {
  const hn::ScalableTag<float> d;
  const int32_t lanes = static_cast<int32_t>(hn::Lanes(d));
  int32_t column = 0;
  for (; column + kChains * lanes <= columns; column += kChains * lanes) {
    HWY_UNROLL(4)
    for (int chain = 0; chain < kChains; ++chain) f(d, column + chain * lanes, chain);
  }
  for (; column + lanes <= columns; column += lanes) f(d, column, 0);
  const hn::CappedTag<float, 1> one;
  for (; column < columns; ++column) f(one, column, 0);
}

/// A sum over the columns of a row: vectors and left-over columns apart, joined at the end.
class RowSum {
 public:
  HWY_INLINE RowSum() {
    HWY_UNROLL(4)
    for (auto& sum : sums_) sum = hn::Zero(hn::ScalableTag<float>());
  }
  HWY_INLINE void add(hn::ScalableTag<float> /*d*/, hn::Vec<hn::ScalableTag<float>> v, int chain) {
    sums_[chain] = hn::Add(sums_[chain], v);
  }
#if HWY_TARGET != HWY_SCALAR
  HWY_INLINE void add(hn::CappedTag<float, 1> /*d*/, hn::Vec<hn::CappedTag<float, 1>> v,
                      int /*chain*/) {
    rest_ += hn::GetLane(v);
  }
#endif
  HWY_INLINE float total() const {
    const auto sum = hn::Add(hn::Add(sums_[0], sums_[1]), hn::Add(sums_[2], sums_[3]));
    return hn::GetLane(hn::SumOfLanes(hn::ScalableTag<float>(), sum)) + rest_;
  }

 private:
  hn::Vec<hn::ScalableTag<float>> sums_[kChains];
  float rest_ = 0;
};

/// What a layer norm does to every row.
struct Norm {
  int32_t columns;
  float epsilon;
  const float* gain;
  const float* bias;
};

/// (value - mean) / sqrt(variance + epsilon) * gain + bias; `values` are read twice.
template <class Element, class Values>
HWY_INLINE void normalize(const Norm& norm, const RowSum& sum, Element* output, Values values) {
  const float count = static_cast<float>(norm.columns);
  const float mean = sum.total() / count;
  RowSum squares;
  for_columns(norm.columns, [&](auto d, int32_t i, int chain) {
    const auto difference = hn::Sub(values(d, i), hn::Set(d, mean));
    squares.add(d, hn::Mul(difference, difference), chain);
  });
  const float scale = 1.0f / __builtin_sqrtf(squares.total() / count + norm.epsilon);
  for_columns(norm.columns, [&](auto d, int32_t i, int) {
    const auto normal = hn::Mul(hn::Sub(values(d, i), hn::Set(d, mean)), hn::Set(d, scale));
    store(d, hn::MulAdd(normal, hn::LoadU(d, norm.gain + i), hn::LoadU(d, norm.bias + i)),
          output + i);
  });
}

/// Layer normalisation of the row of values that value(d, column) gives.
template <class Element, class Value>
HWY_INLINE void normalize_row(const Norm& norm, Element* output, Value value) {
  constexpr int32_t kKept = 2048;
  HWY_ALIGN float kept[kKept];
  RowSum sum;
  if (norm.columns <= kKept) {
    for_columns(norm.columns, [&](auto d, int32_t i, int chain) {
      const auto v = value(d, i);
      hn::StoreU(v, d, kept + i);
      sum.add(d, v, chain);
    });
    normalize(norm, sum, output, [&](auto d, int32_t i) { return hn::LoadU(d, kept + i); });
  } else {
    for_columns(norm.columns,
                [&](auto d, int32_t i, int chain) { sum.add(d, value(d, i), chain); });
    normalize(norm, sum, output, value);
  }
}

template <class Element>
HWY_INLINE Element* row_of(void* matrix, int64_t stride, int32_t row) {
  return reinterpret_cast<Element*>(static_cast<char*>(matrix) + row * stride);
}
template <class Element>
HWY_INLINE const Element* row_of(const void* matrix, int64_t stride, int32_t row) {
  return reinterpret_cast<const Element*>(static_cast<const char*>(matrix) + row * stride);
}

/// Asks for the word vector of a token some rows ahead: the table is large and the order random.
template <class Element>
HWY_INLINE void prefetch_word(const EmbedArgs& args, int32_t row) {
  constexpr int32_t kAhead = 4;
  if (row + kAhead >= args.rows) return;
  const int64_t bytes = args.columns * static_cast<int64_t>(sizeof(Element));
  const char* word = static_cast<const char*>(args.word_table) + args.ids[row + kAhead] * bytes;
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(word + i);
}

template <class Element>
HWY_INLINE void run_embed(const EmbedArgs& args) {
  const Norm norm{args.columns, args.epsilon, args.gain, args.bias};
  const int64_t columns = args.columns;
  for (int32_t r = 0; r < args.rows; ++r) {
    prefetch_word<Element>(args, r);
    const auto* word = static_cast<const Element*>(args.word_table) + args.ids[r] * columns;
    const float* position = args.position_table + args.positions[r] * columns;
    auto* output = row_of<Element>(args.output, args.output_stride, r);
    const auto word_and_position = [&](auto d, int32_t i) {
      return hn::Add(load(d, word + i), hn::LoadU(d, position + i));
    };
    if (args.types == nullptr) {
      normalize_row(norm, output, word_and_position);
    } else {
      const float* type = args.type_table + args.types[r] * columns;
      normalize_row(norm, output, [&](auto d, int32_t i) {
        return hn::Add(word_and_position(d, i), hn::LoadU(d, type + i));
      });
    }
  }
}

template <class Element>
HWY_INLINE void run_add_norm(const AddNormArgs& args) {
  const Norm norm{args.columns, args.epsilon, args.gain, args.bias};
  for (int32_t r = 0; r < args.rows; ++r) {
    const auto* input = row_of<Element>(args.input, args.input_stride, r);
    const auto* residual = row_of<Element>(args.residual, args.residual_stride, r);
    normalize_row(
        norm, row_of<Element>(args.output, args.output_stride, r),
        [&](auto d, int32_t i) { return hn::Add(load(d, input + i), load(d, residual + i)); });
  }
}

template <class Element, class F>
HWY_INLINE void map_rows(const ActivateArgs& args, F f) {
  for (int32_t r = 0; r < args.rows; ++r) {
    auto* row = row_of<Element>(args.data, args.stride, r);
    for_columns(args.columns,
                [&](auto d, int32_t i, int) { store(d, f(d, load(d, row + i)), row + i); });
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
    for_columns(args.columns, [&](auto d, int32_t i, int) {
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
