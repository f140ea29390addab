// A linear layer in int8: what FORMAT.md, "int8 layers", says, from fp32 weights. Portable and
// deterministic: fp64 arithmetic in one order. Private to this folder.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/encoder_spec.h"
#include "model/model.h"

namespace tilewise::compile {

/// How a layer quantises its input rows.
struct InputQuantization {
  std::vector<float> smooth;   ///< one power of two an input; empty: all 1
  std::optional<float> floor;  ///< no input lies under it; nullopt: symmetric about 0
};

struct Int8Linear {
  std::vector<int8_t> weights;  ///< [outputs, inputs], -127 to 127
  std::vector<float> scales;    ///< an output each
  std::vector<int32_t> sums;    ///< an output each: the sum of its int8 weights
  std::vector<float> bias;      ///< an output each, with floor * sum of its weights in it
  InputQuantization input;
};

/// Symmetric, one scale an output: the one of a few clips of the largest weight that leaves the
/// least squared error.
Int8Linear quantize(const model::LinearWeights& linear, InputQuantization input);

/// The weights that `linear` stands for: [outputs, inputs], without smoothing.
std::vector<float> dequantize(const Int8Linear& linear);

/// A bound under all outputs of an activation, for inputs that are quantised upwards from it.
/// nullopt: there is none that is worth it.
std::optional<float> floor_of(model::Activation activation);

/// SmoothQuant (Xiao et al. 2022): input_max[k]^-a * weight_max[k]^(1-a) with a = quarters / 4,
/// rounded to a power of two, so that a last digit of the statistics decides nothing. `weights` is
/// [outputs, inputs]. An input that never is anything but 0, or that no weight uses, gets 1.
std::vector<float> smoothing_factors(std::span<const float> input_max, const model::Tensor& weights,
                                     int quarters);

/// One row as the kernels quantise it (kernels/int8.h), and back to what that stands for.
void quantize_and_back(std::span<float> row, const InputQuantization& input);

}  // namespace tilewise::compile
