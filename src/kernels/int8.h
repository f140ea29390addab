// The linear layer with weights of one byte: y = activation(x W^T + b), x quantised one row at a
// time.
//
// Activations stay bf16 between operations; an int8 layer first quantises its input (QuantizeFn),
// then multiplies (Int8LinearFn). So int8 and bf16 layers mix freely, and all other operations are
// the bf16 ones.
//
// Weights: w[n][k] = weight_scale[n] * int8 from -127 to 127, in the panels of linear.h with four k
// a step (a dword): 32 columns wide, K padded with zeros to a multiple of 64, N to a multiple
// of 32. Inputs: x[k] * smooth[k] = scale * (q[k] - 128), or from a floor f: (x[k] - f) * smooth[k]
// = scale * q[k]. The compiler has divided the weights by `smooth` and moved f into the bias.
//
// The sums are exact (int32), so their order does not matter; what follows has one fixed order for
// every row.
#pragma once

#include <cstdint>

#include "kernels/linear.h"

namespace tilewise::kernels {

/// Longest K that cannot overflow a sum: 255 * 127 * 65536 < 2^31.
inline constexpr int32_t kMaxInt8K = 65536;

/// Far under what activations mean, and far enough from fp32's smallest numbers to divide by.
inline constexpr float kSmallestRange = 0x1p-100f;

/// What x = 0 becomes where the input is symmetric.
inline constexpr int32_t kSymmetricZero = 128;

/// Rows of bf16 -> rows of bytes with one scale each. With y[k] = (x[k] - floor) * smooth[k]:
///   symmetric: scale = max |y| / 127, q = round(y * (127 / max |y|)) + 128    (1 to 255; floor is
///   0) else:      scale = max y / 255,   q = round(y * (255 / max y)), at least 0
/// in fp32 without fusing, rounding to nearest even: the same bytes on every instruction set. A row
/// whose largest is under kSmallestRange counts as zeros: scale 0 and q = its zero point. Rows with
/// a NaN or an infinity get an unspecified result, and touch no other row.
struct QuantizeArgs {
  const void* input = nullptr;    ///< rows x columns, bf16
  int64_t input_stride = 0;       ///< bytes; a multiple of 64
  const float* smooth = nullptr;  ///< columns, 64-byte aligned; null: all 1
  bool is_symmetric = true;
  float floor = 0;  ///< a lower bound of the input where it is not symmetric
  uint8_t* output =
      nullptr;  ///< rows x padded K; from `columns` to the padded K any value may be written
  int64_t output_stride = 0;  ///< bytes; a multiple of 64
  float* scales = nullptr;    ///< rows
  int32_t rows = 0;
  int32_t columns = 0;
};
/// Thread-safe on distinct outputs.
using QuantizeFn = void (*)(const QuantizeArgs&);

/// y = activation((sum q w - zero_point * column_sum) * input_scale * weight_scale + bias), written
/// as bf16.
struct Int8LinearArgs {
  const uint8_t* input = nullptr;        ///< rows x padded K
  int64_t input_stride = 0;              ///< bytes; a multiple of 64
  const float* input_scales = nullptr;   ///< rows
  int32_t zero_point = kSymmetricZero;   ///< kSymmetricZero or 0
  const void* weights = nullptr;         ///< packed panels, 64-byte aligned
  const float* weight_scales = nullptr;  ///< padded N, 64-byte aligned
  const int32_t* column_sums =
      nullptr;  ///< padded N, 64-byte aligned: sum over k of the int8 weights of a column
  const float* bias = nullptr;  ///< padded N, 64-byte aligned
  void* output = nullptr;       ///< rows x padded N, bf16; 64-byte aligned
  int64_t output_stride = 0;    ///< bytes; a multiple of 64
  int32_t rows = 0;             ///< >= 1
  int32_t k = 0;                ///< padded K: a multiple of 64, at most kMaxInt8K
  int32_t n = 0;                ///< padded N: a multiple of 32
  Fused fused = Fused::none;
  const void* next_weights =
      nullptr;  ///< what the next linear layer will read, to prefetch; may be null
};

/// Reads up to kRowSlack rows beyond `rows` of the input and of its scales (never uses them in a
/// result); writes none beyond `rows` of the output. Thread-safe on distinct outputs. Without VNNI it takes up to 160 KB of the thread's stack.
using Int8LinearFn = void (*)(const Int8LinearArgs&);

}  // namespace tilewise::kernels
