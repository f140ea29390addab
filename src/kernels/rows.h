// The operations that work on one row at a time: embedding, layer normalisation, activation, pooling.
// Row strides are in bytes and multiples of 64; `columns` is the true width, what lies beyond it in a row of the output is
// left alone. "Activation type" is bf16 or fp32, by the kernel set that the function comes from.
#pragma once

#include <cstdint>

#include "model/encoder_spec.h"

namespace tilewise::kernels {

/// out = LayerNorm(word[id] + position[p] + type[t]); Ba et al. 2016, variance by two passes. What a family does not have
/// is left out.
struct EmbedArgs {
  const int32_t* ids = nullptr;        ///< rows token ids, already checked against the vocabulary
  const int32_t* positions = nullptr;  ///< rows; not read where there is no table of them
  const int32_t* types = nullptr;      ///< rows; null where the family has none
  const void* word_table = nullptr;    ///< activation type, dense rows of `columns`
  const float* position_table = nullptr;  ///< null: positions are no part of the embedding
  const float* type_table = nullptr;   ///< null where `types` is
  const float* gain = nullptr;
  const float* bias = nullptr;
  float epsilon = 0;
  void* output = nullptr;              ///< rows x columns, activation type
  int64_t output_stride = 0;
  int32_t rows = 0;
  int32_t columns = 0;
};
using EmbedFn = void (*)(const EmbedArgs&);

/// output = LayerNorm(input + residual), all of the activation type; the sum and the statistics are fp32.
/// `output` may be `input` or `residual`. Where norms stand before the layers, the sum itself goes on as the residual of the
/// next: it is kept, in fp32.
struct AddNormArgs {
  const void* input = nullptr;
  int64_t input_stride = 0;
  const void* residual = nullptr;
  int64_t residual_stride = 0;       ///< 0: one row for all
  float* sum = nullptr;              ///< receives input + residual, rows x columns; null: it is not kept
  int64_t sum_stride = 0;
  bool residual_is_fp32 = false;     ///< only with `sum`, which may then be the residual
  const float* gain = nullptr;
  const float* bias = nullptr;
  float epsilon = 0;
  void* output = nullptr;
  int64_t output_stride = 0;
  int32_t rows = 0;
  int32_t columns = 0;
};
using AddNormFn = void (*)(const AddNormArgs&);

/// In place, element by element, for activations that no linear kernel fuses. fp32 or activation type by `is_fp32`. With a
/// gate x becomes activation(x) * gate (Shazeer 2020, "GLU Variants").
struct ActivateArgs {
  void* data = nullptr;
  int64_t stride = 0;
  int32_t rows = 0;
  int32_t columns = 0;
  bool is_fp32 = false;
  model::Activation activation = model::Activation::identity;
  bool is_gated = false;  ///< the gates are the `columns` that follow in the row, and stay as they are
};
using ActivateFn = void (*)(const ActivateArgs&);

/// Turns the heads of Q and K by angles that grow with the position of their token, in place (Su et al. 2021, "RoFormer").
/// With x and y the halves of a head: x' = x cos - y sin, y' = y cos + x sin, in fp32.
struct RotateArgs {
  void* qkv = nullptr;  ///< rows of Q, K, V side by side, activation type, from the first head that is to be turned on
  int64_t qkv_stride = 0;
  int32_t section = 0;               ///< columns from a head of Q to the same of K
  const int32_t* offsets = nullptr;  ///< sequences + 1: positions count from the beginning of a sequence
  int32_t sequences = 0;
  int32_t heads = 0;
  int32_t head_dim = 0;              ///< even
  const float* cosines = nullptr;    ///< a row of head_dim / 2 for each position
  const float* sines = nullptr;
};
using RotateFn = void (*)(const RotateArgs&);

/// One pooled fp32 vector a sequence from hidden states: the mean of its rows, or its first row.
struct PoolArgs {
  const void* input = nullptr;
  int64_t input_stride = 0;
  bool is_fp32 = false;              ///< whatever the activation type is
  const int32_t* offsets = nullptr;  ///< sequences + 1
  int32_t sequences = 0;
  model::Pooling pooling = model::Pooling::mean;
  float* output = nullptr;           ///< sequences x columns
  int64_t output_stride = 0;
  int32_t columns = 0;
};
using PoolFn = void (*)(const PoolArgs&);

}  // namespace tilewise::kernels
