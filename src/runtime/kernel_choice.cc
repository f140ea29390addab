#include "runtime/kernel_choice.h"

namespace tilewise::runtime {

using model::Precision;

std::string KernelChoice::isa() const {
  std::string name = name_of(backbone->isa);
  if (int8 != nullptr && int8->isa != backbone->isa) name += std::string("+") + name_of(int8->isa);
  return name;
}

Result<KernelChoice> choose_kernels(const CpuFeatures& cpu, Precision precision,
                                    std::optional<Isa> forced) {
  KernelChoice choice;
  const bool is_int8 = precision == Precision::int8;
  TILEWISE_ASSIGN_OR_RETURN(
      choice.backbone, kernels::choose_kernels(cpu, is_int8 ? Precision::bf16 : precision, forced));
  if (is_int8) {
    TILEWISE_ASSIGN_OR_RETURN(choice.int8, kernels::choose_int8_kernels(cpu, forced));
  }
  return choice;
}

}  // namespace tilewise::runtime
