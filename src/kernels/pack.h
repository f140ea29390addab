// Weights into the panels that linear.h describes. Portable, deterministic: the same bytes on every
// machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model/precision.h"

namespace tilewise::kernels {

/// Round to nearest, ties to even; NaN stays a NaN, overflow becomes infinity.
uint16_t to_bf16(float value);
float from_bf16(uint16_t value);

inline int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// K as the kernels of `precision` want it: a multiple of 64 bytes.
int64_t padded_k(int64_t k, model::Precision precision);

/// N as they want it: a multiple of 32.
int64_t padded_n(int64_t n);

/// Bytes of one weight or activation.
size_t element_bytes(model::Precision precision);

/// Packs weight [n, k] (row-major, as nn.Linear has it) into padded_n(n) / 32 panels. fp32 or bf16.
std::vector<std::byte> pack_panels(std::span<const float> weight, int64_t n, int64_t k,
                                   model::Precision precision);

/// The same for weights that are int8 already: four k a step.
std::vector<std::byte> pack_int8_panels(std::span<const int8_t> weight, int64_t n, int64_t k);

/// Bytes that pack_panels gives.
size_t packed_bytes(int64_t n, int64_t k, model::Precision precision);

}  // namespace tilewise::kernels
