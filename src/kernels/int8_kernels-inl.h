// The operations of one int8 kernel set from one dot product: what int8_<isa>.cc is made of.
#pragma once

#include "kernels/int8_block-inl.h"
#include "kernels/linear-inl.h"
#include "kernels/quantize-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// Dot::kLeftZero is what the dot product subtracts from every byte of the input.
template <class Dot>
HWY_INLINE void run_int8_linear(const Int8LinearArgs& args) {
  Int8Block first;
  first.left = reinterpret_cast<const char*>(args.input);
  first.left_stride = args.input_stride;
  first.steps = args.k / kPerStep<Dot>;
  first.output = static_cast<char*>(args.output);
  first.output_stride = args.output_stride;
  first.output_element = sizeof(uint16_t);
  first.column_sums = args.column_sums;
  first.column_factor = Dot::kLeftZero - args.zero_point;
  first.input_scales = args.input_scales;
  first.weight_scales = args.weight_scales;
  first.bias = args.bias;
  first.fused = args.fused;
  run_layer<Dot>(args, first);
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE

/// Defines the functions that kernels.inc promises for an int8 set. Dot is a micro-kernel's dot
/// product over Int8Block; busy_loop(rounds) repeats the instruction that it is made of, as fast as
/// the core can, and returns the number of operations, 2 a multiply-add.
#define TILEWISE_DEFINE_INT8_KERNELS(name, Dot, busy_loop)                               \
  namespace tilewise::kernels::name::int8 {                                              \
  void linear(const Int8LinearArgs& args) { HWY_NAMESPACE::run_int8_linear<Dot>(args); } \
  void quantize(const QuantizeArgs& args) { HWY_NAMESPACE::run_quantize(args); }         \
  double busy(int64_t rounds) { return busy_loop(rounds); }                              \
  }
