// The kernels of the AMX level, on the processor's tile unit and on the software model of it.
//
// The thread must have called begin_pass, and after the last kernel calls end_pass.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention.h"
#include "kernels/int8.h"
#include "kernels/linear.h"

namespace tilewise::kernels {

namespace amx {
void begin_pass();
void end_pass();
void linear(const LinearArgs& args);
void int8_linear(const Int8LinearArgs& args);
void attention(const AttentionArgs& args);
size_t attention_scratch(int32_t longest, int32_t head_dim);

/// 4 * rounds independent tile products of bf16 and of u8 x s8.
void multiply_bf16_tiles(int rounds);
void multiply_int8_tiles(int rounds);

/// The rates of these in FLOP/s and OP/s, measured for about `seconds`. Outside a pass.
double bf16_peak(double seconds);
double int8_peak(double seconds);
}  // namespace amx

namespace tile_model {
void begin_pass();
void end_pass();
void linear(const LinearArgs& args);
void int8_linear(const Int8LinearArgs& args);
void attention(const AttentionArgs& args);
size_t attention_scratch(int32_t longest, int32_t head_dim);
}  // namespace tile_model

}  // namespace tilewise::kernels
