// The kernels of the AMX level, on the processor's tile unit and on the software model of it.
//
// The thread must have called begin_pass, and after the last kernel calls end_pass.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention.h"
#include "kernels/linear.h"

namespace tilewise::kernels {

namespace amx {
void begin_pass();
void end_pass();
void linear(const LinearArgs& args);
void attention(const AttentionArgs& args);
size_t attention_scratch(int32_t longest, int32_t head_dim);

/// 4 * rounds independent bf16 tile products.
void multiply_tiles(int rounds);

/// The rate of multiply_tiles in FLOP/s, measured for about `seconds`. Outside a pass.
double bf16_peak(double seconds);
}  // namespace amx

namespace tile_model {
void begin_pass();
void end_pass();
void linear(const LinearArgs& args);
void attention(const AttentionArgs& args);
size_t attention_scratch(int32_t longest, int32_t head_dim);
}  // namespace tile_model

}  // namespace tilewise::kernels
