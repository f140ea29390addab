// All the operations of one kernel set from one dot product: what kernels_<isa>.cc is made of.
#pragma once

#include "kernels/attention-inl.h"
#include "kernels/dot_products-inl.h"
#include "kernels/linear-inl.h"
#include "kernels/rows-inl.h"

/// Defines the functions that kernels.inc promises for (isa, precision). Dot is a micro-kernel's
/// dot product, see micro_kernel-inl.h; busy_loop(rounds) repeats the instruction that it is made
/// of, as fast as the core can, and returns the number of FLOPs.
#define TILEWISE_DEFINE_KERNELS(isa, precision, Dot, busy_loop)                                   \
  namespace tilewise::kernels::isa::precision {                                                   \
  void linear(const LinearArgs& args) { HWY_NAMESPACE::run_linear<Dot>(args); }                   \
  void attention(const AttentionArgs& args) { HWY_NAMESPACE::run_attention<Dot>(args); }          \
  size_t attention_scratch(int32_t longest, int32_t head_dim) {                                   \
    return HWY_NAMESPACE::attention_scratch_bytes<Dot>(longest, head_dim);                        \
  }                                                                                               \
  void embed(const EmbedArgs& args) { HWY_NAMESPACE::run_embed<typename Dot::Element>(args); }    \
  void add_norm(const AddNormArgs& args) {                                                        \
    HWY_NAMESPACE::run_add_norm<typename Dot::Element>(args);                                     \
  }                                                                                               \
  void activate(const ActivateArgs& args) {                                                       \
    HWY_NAMESPACE::run_activate<typename Dot::Element>(args);                                     \
  }                                                                                               \
  void rotate(const RotateArgs& args) { HWY_NAMESPACE::run_rotate<typename Dot::Element>(args); } \
  void pool(const PoolArgs& args) { HWY_NAMESPACE::run_pool<typename Dot::Element>(args); }       \
  double busy(int64_t rounds) { return busy_loop(rounds); }                                       \
  }
