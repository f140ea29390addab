// The kernels that a model runs with: a set for its activations, and one for its int8 layers.
#pragma once

#include <optional>
#include <string>

#include "base/isa.h"
#include "base/status.h"
#include "kernels/int8_kernel_set.h"
#include "kernels/kernel_set.h"
#include "model/precision.h"

namespace tilewise::runtime {

struct KernelChoice {
  const kernels::KernelSet* backbone = nullptr;  ///< of fp32 for an fp32 model, else of bf16
  const kernels::Int8KernelSet* int8 = nullptr;  ///< the int8 layers' linear; null in other models

  /// What reports call it: "amx", or "avx512_bf16+avx512_vnni" where the two differ.
  std::string isa() const;
};

/// The best kernels for models of this precision that `cpu` supports, none above the level
/// `forced`. A pure function. Errors: those of kernels::choose_kernels and choose_int8_kernels.
Result<KernelChoice> choose_kernels(const CpuFeatures& cpu, model::Precision precision,
                                    std::optional<Isa> forced = std::nullopt);

}  // namespace tilewise::runtime
