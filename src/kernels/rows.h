// The operations that work on one row at a time: embedding, layer normalisation, activation, pooling.
// Row strides are in bytes and multiples of 64; `columns` is the true width, what lies beyond it in a row of the output is
// left alone. "Activation type" is bf16 or fp32, by the kernel set that the function comes from.
#pragma once

#include <cstdint>

#include "model/encoder_spec.h"

namespace tilewise::kernels {

/// out = LayerNorm(word[id] + position[p] + type[t]); Ba et al. 2016, variance by two passes.
struct EmbedArgs {
  const int32_t* ids = nullptr;        ///< rows token ids, already checked against the vocabulary
  const int32_t* positions = nullptr;  ///< rows
  const int32_t* types = nullptr;      ///< rows; null where the family has none
  const void* word_table = nullptr;    ///< activation type, dense rows of `columns`
  const float* position_table = nullptr;
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
/// `output` may be `input` or `residual`.
struct AddNormArgs {
  const void* input = nullptr;
  int64_t input_stride = 0;
  const void* residual = nullptr;
  int64_t residual_stride = 0;
  const float* gain = nullptr;
  const float* bias = nullptr;
  float epsilon = 0;
  void* output = nullptr;
  int64_t output_stride = 0;
  int32_t rows = 0;
  int32_t columns = 0;
};
using AddNormFn = void (*)(const AddNormArgs&);

/// In place, element by element, for activations that no linear kernel fuses. fp32 or activation type by `is_fp32`.
struct ActivateArgs {
  void* data = nullptr;
  int64_t stride = 0;
  int32_t rows = 0;
  int32_t columns = 0;
  bool is_fp32 = false;
  model::Activation activation = model::Activation::identity;
};
using ActivateFn = void (*)(const ActivateArgs&);

/// One pooled fp32 vector a sequence from hidden states of the activation type: the mean of its rows, or its first row.
struct PoolArgs {
  const void* input = nullptr;
  int64_t input_stride = 0;
  const int32_t* offsets = nullptr;  ///< sequences + 1
  int32_t sequences = 0;
  model::Pooling pooling = model::Pooling::mean;
  float* output = nullptr;           ///< sequences x columns
  int64_t output_stride = 0;
  int32_t columns = 0;
};
using PoolFn = void (*)(const PoolArgs&);

}  // namespace tilewise::kernels
