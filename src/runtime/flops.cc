#include "runtime/flops.h"

namespace tilewise::runtime {
namespace {

using model::Precision;

/// Weights of the linear layer that an artifact calls "layers.N.PART".
double weights_of(const model::EncoderSpec& spec, const std::string& layer) {
  const double hidden = spec.hidden;
  if (layer.ends_with(".qkv")) return 3 * hidden * hidden;
  if (layer.ends_with(".attention_output")) return hidden * hidden;
  return hidden * spec.intermediate;  // ffn_up, ffn_down
}

/// FLOPs of all linear layers for one token.
Flops linear_flops(const artifact::Metadata& metadata) {
  const model::EncoderSpec& spec = metadata.spec;
  Flops flops;
  for (const artifact::LinearPrecision& linear : metadata.linears) {
    flops.of(linear.precision) += 2 * weights_of(spec, linear.layer);
  }
  if (metadata.precision == Precision::int8) return flops;
  const double hidden = spec.hidden;
  flops.of(metadata.precision) =
      2 * spec.layers * (4 * hidden * hidden + 2 * hidden * spec.intermediate);
  return flops;
}

}  // namespace

Flops backbone_flops(const artifact::Metadata& metadata, std::span<const int32_t> offsets) {
  const model::EncoderSpec& spec = metadata.spec;
  double tokens = 0, pairs = 0;  // of a query and a key
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    const double length = offsets[s + 1] - offsets[s];
    tokens += length;
    pairs += length * length;
  }
  Flops flops = linear_flops(metadata) * tokens;
  const bool is_fp32 = metadata.precision == Precision::fp32;
  // Q K^T and P V, over all heads.
  flops.of(is_fp32 ? Precision::fp32 : Precision::bf16) +=
      2 * 2 * pairs * spec.hidden * spec.layers;
  return flops;
}

double head_flops(const model::EncoderSpec& spec, int32_t sequences, int32_t outputs, bool dense) {
  const double hidden = spec.hidden;
  return 2.0 * sequences * hidden * (outputs + (dense ? hidden : 0));
}

}  // namespace tilewise::runtime
