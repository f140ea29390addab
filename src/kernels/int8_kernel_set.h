// Which int8 kernels run where. The other operations of an int8 model come from a bf16 KernelSet,
// chosen by itself.
#pragma once

#include <optional>
#include <span>

#include "base/isa.h"
#include "base/status.h"
#include "kernels/int8.h"

namespace tilewise::kernels {

/// The int8 linear layer on one instruction set. The sets are constant and live as long as the
/// program.
struct Int8KernelSet {
  Isa isa = Isa::portable;
  Int8LinearFn linear = nullptr;
  QuantizeFn quantize = nullptr;
  void (*begin_pass)() =
      nullptr;  ///< called on the running thread before `linear` (AMX: configures the tiles)
  void (*end_pass)() = nullptr;
  double (*peak)(double seconds) =
      nullptr;  ///< OP/s of one core, 2 a multiply-add, as measure_peak of kernel_set.h
};

/// Every set that this build contains, whether this CPU runs it or not, best first; kernels.inc is
/// their list.
std::span<const Int8KernelSet> all_int8_kernel_sets();

/// The best set that `cpu` supports, not above `forced`: as choose_kernels, and with its errors.
Result<const Int8KernelSet*> choose_int8_kernels(const CpuFeatures& cpu,
                                                 std::optional<Isa> forced = std::nullopt);

}  // namespace tilewise::kernels
