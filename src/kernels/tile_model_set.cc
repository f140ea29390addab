#include "kernels/tile_model_set.h"

#include "kernels/amx_kernels.h"

namespace tilewise::kernels {
namespace {

/// The last set of bf16 kernels in the list: the one that every CPU runs.
KernelSet portable_bf16_set() {
  KernelSet last;
  for (const KernelSet& set : all_kernel_sets()) {
    if (set.precision == model::Precision::bf16) last = set;
  }
  return last;
}

KernelSet make_set() {
  KernelSet set = portable_bf16_set();
  set.isa = Isa::amx;
  set.linear = tile_model::linear;
  set.attention = tile_model::attention;
  set.attention_scratch = tile_model::attention_scratch;
  set.begin_pass = tile_model::begin_pass;
  set.end_pass = tile_model::end_pass;
  return set;
}

}  // namespace

const KernelSet& tile_model_kernel_set() {
  static const KernelSet set = make_set();
  return set;
}

}  // namespace tilewise::kernels
