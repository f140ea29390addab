// rows.h in Highway, for activations of type Element: float, or uint16_t for bf16. See
// vector_math-inl.h for the linkage.
#pragma once

#include <cstdint>

#include "kernels/elements-inl.h"
#include "kernels/gelu-inl.h"
#include "kernels/norm-inl.h"
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
  if (row >= args.rows) return;
  const int64_t bytes = args.columns * static_cast<int64_t>(sizeof(Element));
  const char* word = static_cast<const char*>(args.word_table) + args.ids[row] * bytes;
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(word + i);
}

/// What a token's vector is the sum of, beside its word.
enum class Beside { nothing, position, type, both };

constexpr bool has_position(Beside parts) {
  return parts == Beside::position || parts == Beside::both;
}
constexpr bool has_type(Beside parts) { return parts == Beside::type || parts == Beside::both; }

/// A token's vectors added up. What is not among the parts is not read.
template <class Element, int kRows, Beside kParts>
struct EmbeddingSums {
  const Element* words[kRows];
  const float* positions[kRows];
  const float* types[kRows];

  HWY_INLINE ColumnPair pair(int row, int32_t column) const {
    ColumnPair sum = load_columns(words[row] + column);
    if constexpr (has_position(kParts)) {
      sum = add(sum, load_fp32_columns<Element>(positions[row] + column));
    }
    if constexpr (has_type(kParts)) {
      sum = add(sum, load_fp32_columns<Element>(types[row] + column));
    }
    return sum;
  }
  HWY_INLINE float one(int row, int32_t column) const {
    float sum = load_column(words[row] + column);
    if constexpr (has_position(kParts)) sum += positions[row][column];
    if constexpr (has_type(kParts)) sum += types[row][column];
    return sum;
  }
};

template <class Element, Beside kParts>
struct Embedding {
  const EmbedArgs& args;

  template <int kRows>
  HWY_INLINE EmbeddingSums<Element, kRows, kParts> values(int32_t row) const {
    constexpr int32_t kAhead = 4;
    const int64_t columns = args.columns;
    EmbeddingSums<Element, kRows, kParts> sums;
    for (int i = 0; i < kRows; ++i, ++row) {
      prefetch_word<Element>(args, row + kAhead);
      sums.words[i] = static_cast<const Element*>(args.word_table) + args.ids[row] * columns;
      if constexpr (has_position(kParts)) {
        sums.positions[i] = args.position_table + args.positions[row] * columns;
      }
      if constexpr (has_type(kParts)) sums.types[i] = args.type_table + args.types[row] * columns;
    }
    return sums;
  }
  HWY_INLINE Element* output(int32_t row) const {
    return row_of<Element>(args.output, args.output_stride, row);
  }
};

template <class Element>
HWY_INLINE void run_embed(const EmbedArgs& args) {
  const Norm norm{args.columns, args.epsilon, args.gain, args.bias};
  const auto run = [&](auto source) { normalize<Element>(norm, args.rows, source); };
  if (args.position_table == nullptr) {
    if (args.types == nullptr) return run(Embedding<Element, Beside::nothing>{args});
    return run(Embedding<Element, Beside::type>{args});
  }
  if (args.types == nullptr) return run(Embedding<Element, Beside::position>{args});
  run(Embedding<Element, Beside::both>{args});
}

/// Rows of input and residual added up.
template <class Element, int kRows>
struct ResidualSums {
  const Element* inputs[kRows];
  const Element* residuals[kRows];

  HWY_INLINE ColumnPair pair(int row, int32_t column) const {
    return add(load_columns(inputs[row] + column), load_columns(residuals[row] + column));
  }
  HWY_INLINE float one(int row, int32_t column) const {
    return load_column(inputs[row] + column) + load_column(residuals[row] + column);
  }
};

template <class Element>
struct Residual {
  const AddNormArgs& args;

  template <int kRows>
  HWY_INLINE ResidualSums<Element, kRows> values(int32_t row) const {
    ResidualSums<Element, kRows> sums;
    for (int i = 0; i < kRows; ++i) {
      sums.inputs[i] = row_of<Element>(args.input, args.input_stride, row + i);
      sums.residuals[i] = row_of<Element>(args.residual, args.residual_stride, row + i);
    }
    return sums;
  }
  HWY_INLINE Element* output(int32_t row) const {
    return row_of<Element>(args.output, args.output_stride, row);
  }
};

/// Rows of fp32 that are read as if they were of Element.
template <class Element, int kRows>
struct KeptSums {
  const float* rows[kRows];

  HWY_INLINE ColumnPair pair(int row, int32_t column) const {
    return load_fp32_columns<Element>(rows[row] + column);
  }
  HWY_INLINE float one(int row, int32_t column) const { return rows[row][column]; }
};

/// Sums that are kept: each is made before its row is normalised, and read from there.
template <class Element, class Carried>
struct KeptResidual {
  const AddNormArgs& args;

  template <int kRows>
  HWY_INLINE KeptSums<Element, kRows> values(int32_t row) const {
    KeptSums<Element, kRows> sums;
    for (int i = 0; i < kRows; ++i) sums.rows[i] = add_up(row + i);
    return sums;
  }
  HWY_INLINE Element* output(int32_t row) const {
    return row_of<Element>(args.output, args.output_stride, row);
  }

 private:
  HWY_INLINE const float* add_up(int32_t row) const {
    const auto* input = row_of<Element>(args.input, args.input_stride, row);
    const auto* residual = row_of<Carried>(args.residual, args.residual_stride, row);
    auto* sum = row_of<float>(args.sum, args.sum_stride, row);
    for_columns(args.columns, [&](auto d, int32_t i, int) {
      store(d, hn::Add(load(d, input + i), load(d, residual + i)), sum + i);
    });
    return sum;
  }
};

template <class Element>
HWY_INLINE void run_add_norm(const AddNormArgs& args) {
  const Norm norm{args.columns, args.epsilon, args.gain, args.bias};
  if (args.sum == nullptr) return normalize<Element>(norm, args.rows, Residual<Element>{args});
  if (args.residual_is_fp32) {
    return normalize<Element>(norm, args.rows, KeptResidual<Element, float>{args});
  }
  normalize<Element>(norm, args.rows, KeptResidual<Element, Element>{args});
}

template <class Element, class F>
HWY_INLINE void map_rows(const ActivateArgs& args, F f) {
  for (int32_t r = 0; r < args.rows; ++r) {
    auto* row = row_of<Element>(args.data, args.stride, r);
    if (args.is_gated) {
      const auto* gates = row + args.columns;
      for_columns(args.columns, [&](auto d, int32_t i, int) {
        store(d, hn::Mul(f(d, load(d, row + i)), load(d, gates + i)), row + i);
      });
    } else {
      for_columns(args.columns,
                  [&](auto d, int32_t i, int) { store(d, f(d, load(d, row + i)), row + i); });
    }
  }
}

template <class Element>
HWY_INLINE void activate_rows(const ActivateArgs& args) {
  switch (args.activation) {
    case model::Activation::identity:
      if (args.is_gated) map_rows<Element>(args, [](auto, auto x) { return x; });
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

/// A head's halves turned by the angles of one position. `first` is the same head of Q and of K.
template <class Element>
HWY_INLINE void rotate_heads(const RotateArgs& args, Element* first, int32_t position) {
  const int32_t half = args.head_dim / 2;
  const float* cosines = args.cosines + position * static_cast<int64_t>(half);
  const float* sines = args.sines + position * static_cast<int64_t>(half);
  for_columns(half, [&](auto d, int32_t i, int) {
    const auto cosine = load(d, cosines + i), sine = load(d, sines + i);
    for (Element* part : {first, first + args.section}) {
      for (int32_t head = 0; head < args.heads; ++head) {
        Element* at = part + head * args.head_dim + i;
        const auto x = load(d, at), y = load(d, at + half);
        store(d, hn::NegMulAdd(y, sine, hn::Mul(x, cosine)), at);
        store(d, hn::MulAdd(x, sine, hn::Mul(y, cosine)), at + half);
      }
    }
  });
}

template <class Element>
HWY_INLINE void run_rotate(const RotateArgs& args) {
  for (int32_t s = 0; s < args.sequences; ++s) {
    for (int32_t r = args.offsets[s]; r < args.offsets[s + 1]; ++r) {
      rotate_heads(args, row_of<Element>(args.qkv, args.qkv_stride, r), r - args.offsets[s]);
    }
  }
}

template <class Element>
HWY_INLINE void pool_rows(const PoolArgs& args) {
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

template <class Element>
HWY_INLINE void run_pool(const PoolArgs& args) {
  if (args.is_fp32) {
    pool_rows<float>(args);
  } else {
    pool_rows<Element>(args);
  }
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
