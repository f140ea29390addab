// The arithmetic that a sequence costs, for shares of the peak: 2 FLOPs a multiply-add, linear
// layers and attention only.
#pragma once

#include <cstdint>
#include <span>

#include "model/encoder_spec.h"

namespace tilewise::runtime {

/// FLOPs of one pass over sequences of these offsets (sequences + 1), in the backbone.
double backbone_flops(const model::EncoderSpec& spec, std::span<const int32_t> offsets);

/// FLOPs of one head of `outputs` on `sequences` pooled vectors, with a dense layer before it or
/// not.
double head_flops(const model::EncoderSpec& spec, int32_t sequences, int32_t outputs, bool dense);

}  // namespace tilewise::runtime
