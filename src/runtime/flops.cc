#include "runtime/flops.h"

namespace tilewise::runtime {

double backbone_flops(const model::EncoderSpec& spec, std::span<const int32_t> offsets) {
  const double hidden = spec.hidden;
  const double weights_per_layer = 4 * hidden * hidden + 2 * hidden * spec.intermediate;
  double flops = 0;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    const double tokens = offsets[s + 1] - offsets[s];
    flops += 2 * tokens * weights_per_layer;    // Q, K, V, output projection, feed-forward
    flops += 2 * 2 * tokens * tokens * hidden;  // Q K^T and P V, over all heads
  }
  return flops * spec.layers;
}

double head_flops(const model::EncoderSpec& spec, int32_t sequences, int32_t outputs, bool dense) {
  const double hidden = spec.hidden;
  return 2.0 * sequences * hidden * (outputs + (dense ? hidden : 0));
}

}  // namespace tilewise::runtime
