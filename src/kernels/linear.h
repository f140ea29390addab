// y = activation(x W^T + b): nearly all the arithmetic of an encoder.
//
// Packed weights (pack.h): N is cut into panels of 32 columns; in a panel the K values of a column lie in steps of one dword
// (1 fp32, 2 bf16), step-major: step 0 of the 32 columns (128 bytes), step 1, ... So a pair of 64-byte vector loads feeds
// vdpbf16ps or an fp32 FMA, and a tile load with a row stride of 128 bytes gives AMX its VNNI form.
// K is padded with zero steps to a multiple of 64 bytes, N with zero columns to a multiple of 32.
//
// The result of a row depends on that row alone, bit for bit, whatever `rows` is: every output is one chain of
// multiply-adds over k in a fixed order, starting from the bias.
#pragma once

#include <cstdint>

namespace tilewise::kernels {

enum class Fused { none, gelu_erf };

/// Element type of `output`. `activation` is the type of the input: bf16 kernels write bf16, fp32 kernels fp32.
enum class OutputType { activation, fp32 };

struct LinearArgs {
  const void* input = nullptr;   ///< rows x padded K, row-major; columns from K to the padded K must be zero
  int64_t input_stride = 0;      ///< bytes between rows; a multiple of 64
  const void* weights = nullptr; ///< packed panels, 64-byte aligned
  const float* bias = nullptr;   ///< padded N values, 64-byte aligned
  void* output = nullptr;        ///< rows x padded N; 64-byte aligned
  int64_t output_stride = 0;     ///< bytes; a multiple of 64
  int32_t rows = 0;              ///< >= 1
  int32_t k = 0;                 ///< padded K: a multiple of 16 (fp32) or 32 (bf16)
  int32_t n = 0;                 ///< padded N: a multiple of 32
  Fused fused = Fused::none;
  OutputType output_type = OutputType::activation;
  const void* next_weights = nullptr;  ///< panels that the next linear layer will read, to prefetch; may be null
};

/// Reads up to kRowSlack rows beyond `rows` of the input (never uses them in a result), so buffers carry that many spare
/// rows; writes none beyond `rows` of the output, for they may be another thread's. Thread-safe on distinct outputs. Kernels
/// that convert their input first (bf16 without instructions for it) take up to 180 KB of the thread's stack.
using LinearFn = void (*)(const LinearArgs&);

inline constexpr int32_t kRowSlack = 32;
inline constexpr int32_t kPanelColumns = 32;

}  // namespace tilewise::kernels
