// The arithmetic that a sequence costs, for shares of the peak: 2 FLOPs a multiply-add, linear
// layers and attention only.
#pragma once

#include <cstdint>
#include <span>

#include "artifact/metadata.h"
#include "model/encoder_spec.h"
#include "model/precision.h"

namespace tilewise::runtime {

/// FLOPs (or FLOP/s) by the precision that they run in.
struct Flops {
  double fp32 = 0;
  double bf16 = 0;
  double int8 = 0;

  double& of(model::Precision precision) {
    return precision == model::Precision::fp32   ? fp32
           : precision == model::Precision::bf16 ? bf16
                                                 : int8;
  }
  double of(model::Precision precision) const { return Flops(*this).of(precision); }
  Flops& operator+=(const Flops& other) {
    fp32 += other.fp32;
    bf16 += other.bf16;
    int8 += other.int8;
    return *this;
  }
  Flops operator*(double factor) const { return {fp32 * factor, bf16 * factor, int8 * factor}; }
};

/// FLOPs of one pass over sequences of these offsets (sequences + 1), in the backbone. Of an int8
/// model: each linear layer in the precision that Metadata::linears gives it, attention in bf16.
/// `depths`: the layers that each sequence went through, half of one counted half; empty: all.
Flops backbone_flops(const artifact::Metadata& metadata, std::span<const int32_t> offsets,
                     std::span<const float> depths = {});

/// FLOPs of one head of `outputs` on `sequences` pooled vectors, with a dense layer before it or
/// not. Heads run in fp32.
double head_flops(const model::EncoderSpec& spec, int32_t sequences, int32_t outputs, bool dense);

}  // namespace tilewise::runtime
