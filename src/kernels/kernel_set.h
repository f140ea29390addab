// The one place where an instruction set is chosen.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "base/isa.h"
#include "base/status.h"
#include "kernels/attention.h"
#include "kernels/linear.h"
#include "kernels/rows.h"
#include "model/precision.h"

namespace tilewise::kernels {

/// All operations of one precision on one instruction set. The sets are constant and live as long
/// as the program; every function of them is set.
struct KernelSet {
  Isa isa = Isa::portable;  ///< what runs: the instruction set of `linear`, and of `attention` but
                            ///< for what attention_isa says
  model::Precision precision = model::Precision::fp32;
  LinearFn linear = nullptr;
  LinearFn linear_fp32 = nullptr;  ///< fp32 in, weights and out: the heads of every precision
  AttentionFn attention = nullptr;
  AttentionScratchFn attention_scratch = nullptr;
  EmbedFn embed = nullptr;
  AddNormFn add_norm = nullptr;
  AddNormFn add_norm_fp32 = nullptr;  ///< of fp32 activations: the heads of every precision
  ActivateFn activate = nullptr;
  RotateFn rotate = nullptr;
  PoolFn pool = nullptr;
  void (*begin_pass)() = nullptr;  ///< called on the running thread before linear or attention
                                   ///< (AMX: configures the tiles)
  void (*end_pass)() = nullptr;    ///< and after them
  double (*peak)(double seconds) = nullptr;  ///< see measure_peak
};

/// Every set that this build contains, whether this CPU runs it or not, best first in each
/// precision; src/kernels/kernels.inc is their list.
std::span<const KernelSet> all_kernel_sets();

/// The best set for this precision that `cpu` supports: the first of the list, but a set whose
/// instruction is slow on this CPU (CpuFeatures::slow_avx512_bf16) only by its name. `forced` means
/// "at most this level": the best set whose instruction set is not above it. So one level forces a
/// whole program although not every precision has kernels of its own there (fp32 has none on `amx`
/// and runs on `avx512`); KernelSet::isa names what really runs. A pure function: nothing of a
/// batch decides, so that a sequence meets the same instructions in any company. Errors:
/// unavailable_machine when this CPU lacks the level `forced` itself, invalid_argument when the
/// build has no set of that precision at or under it (the message lists those that there are).
Result<const KernelSet*> choose_kernels(const CpuFeatures& cpu, model::Precision precision,
                                        std::optional<Isa> forced = std::nullopt);

/// unavailable_machine when this CPU lacks the level `forced`.
Status check_forced(const CpuFeatures& cpu, std::optional<Isa> forced);

/// The instruction set on which `set.attention` computes heads of this size: the set's own, but the
/// tile unit takes only some sizes and leaves the others to vectors. A pure function.
Isa attention_isa(const KernelSet& set, int32_t head_dim);

/// Peak of one core for the instruction that `set.linear` is built on, in FLOP/s (2 a
/// multiply-add), measured for about `seconds`. Call it only for sets that this CPU supports,
/// outside a pass.
double measure_peak(const KernelSet& set, double seconds = 0.02);

}  // namespace tilewise::kernels
