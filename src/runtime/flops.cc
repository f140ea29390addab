#include "runtime/flops.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

namespace tilewise::runtime {
namespace {

using model::Precision;

/// Weights of the linear layer that an artifact calls "layers.N.PART".
double weights_of(const model::EncoderSpec& spec, std::string_view layer) {
  const double hidden = spec.hidden;
  if (layer.ends_with(".qkv")) return 3 * hidden * hidden;
  if (layer.ends_with(".attention_output")) return hidden * hidden;
  if (layer.ends_with(".ffn_up")) return hidden * spec.ffn_up_outputs();
  return hidden * spec.intermediate;  // ffn_down
}

/// N of "layers.N.PART".
size_t number_of(std::string_view layer) {
  constexpr std::string_view kBefore = "layers.";
  size_t number = 0;
  layer.remove_prefix(std::min(kBefore.size(), layer.size()));
  std::from_chars(layer.data(), layer.data() + layer.size(), number);
  return number;
}

/// FLOPs of the linear layers of each layer for one token.
std::vector<Flops> linear_flops(const artifact::Metadata& metadata) {
  const model::EncoderSpec& spec = metadata.spec;
  std::vector<Flops> layers(static_cast<size_t>(spec.layers));
  if (metadata.precision != Precision::int8) {
    const double hidden = spec.hidden;
    const double weights =
        4 * hidden * hidden + hidden * spec.ffn_up_outputs() + hidden * spec.intermediate;
    for (Flops& layer : layers) layer.of(metadata.precision) = 2 * weights;
    return layers;
  }
  for (const artifact::LinearPrecision& linear : metadata.linears) {
    layers.at(number_of(linear.layer)).of(linear.precision) += 2 * weights_of(spec, linear.layer);
  }
  return layers;
}

/// Pairs of a query and a key in one sequence.
double pairs_of(const model::EncoderSpec& spec, int32_t layer, double length) {
  const double all = length * length;
  if (!spec.is_local(layer)) return all;
  const double beyond = std::max(0.0, length - 1 - spec.window);  // what the first does not see
  return all - beyond * (beyond + 1);
}

}  // namespace

Flops backbone_flops(const artifact::Metadata& metadata, std::span<const int32_t> offsets,
                     std::span<const float> depths) {
  const model::EncoderSpec& spec = metadata.spec;
  const std::vector<Flops> linear = linear_flops(metadata);
  const bool is_fp32 = metadata.precision == Precision::fp32;
  const Precision activations = is_fp32 ? Precision::fp32 : Precision::bf16;
  const double projection = 2.0 * spec.hidden * spec.embedding_size;
  Flops flops;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    const double length = offsets[s + 1] - offsets[s];
    flops.of(activations) += length * projection;
    for (int32_t layer = 0; layer < spec.layers; ++layer) {
      const double ran = depths.empty() ? 1.0 : std::clamp(double{depths[s]} - layer, 0.0, 1.0);
      flops += linear[static_cast<size_t>(layer)] * (length * ran);
      // Q K^T and P V, over all heads.
      flops.of(activations) += 2 * 2 * pairs_of(spec, layer, length) * spec.hidden * ran;
    }
  }
  return flops;
}

double head_flops(const model::EncoderSpec& spec, int32_t sequences, int32_t outputs, bool dense) {
  const double hidden = spec.hidden;
  return 2.0 * sequences * hidden * (outputs + (dense ? hidden : 0));
}

}  // namespace tilewise::runtime
