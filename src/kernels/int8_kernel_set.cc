#include "kernels/int8_kernel_set.h"

#include <array>
#include <string>

#include "kernels/kernel_set.h"
#include "kernels/rate_of.h"

// The functions of every int8 set in kernels.inc.
#define TILEWISE_INT8_KERNELS(isa, name)    \
  namespace tilewise::kernels::name::int8 { \
  void linear(const Int8LinearArgs& args);  \
  void quantize(const QuantizeArgs& args);  \
  double busy(int64_t rounds);              \
  }
#define TILEWISE_INT8_MATRIX_KERNELS(isa, name, rows_name) \
  namespace tilewise::kernels::name {                      \
  void begin_pass();                                       \
  void end_pass();                                         \
  void int8_linear(const Int8LinearArgs& args);            \
  double int8_peak(double seconds);                        \
  }
#include "kernels/kernels.inc"

namespace tilewise::kernels {
namespace {

void nothing_to_prepare() {}

constexpr auto kSets = std::to_array<Int8KernelSet>({
#define TILEWISE_INT8_KERNELS(isa_, name) \
  {.isa = Isa::isa_,                      \
   .linear = name::int8::linear,          \
   .quantize = name::int8::quantize,      \
   .begin_pass = nothing_to_prepare,      \
   .end_pass = nothing_to_prepare,        \
   .peak = rate_of<name::int8::busy>},
#define TILEWISE_INT8_MATRIX_KERNELS(isa_, name, rows_name) \
  {.isa = Isa::isa_,                                        \
   .linear = name::int8_linear,                             \
   .quantize = rows_name::int8::quantize,                   \
   .begin_pass = name::begin_pass,                          \
   .end_pass = name::end_pass,                              \
   .peak = name::int8_peak},
#include "kernels/kernels.inc"
});

/// "avx512_vnni, avx2, portable"
std::string levels() {
  std::string names;
  for (const Int8KernelSet& set : kSets) {
    if (!names.empty()) names += ", ";
    names += name_of(set.isa);
  }
  return names;
}

}  // namespace

std::span<const Int8KernelSet> all_int8_kernel_sets() { return kSets; }

Result<const Int8KernelSet*> choose_int8_kernels(const CpuFeatures& cpu,
                                                 std::optional<Isa> forced) {
  TILEWISE_RETURN_IF_ERROR(check_forced(cpu, forced));
  for (const Int8KernelSet& set : kSets) {
    if ((!forced || set.isa <= *forced) && supports(cpu, set.isa)) return &set;
  }
  return invalid_argument({.what = "there are no int8 kernels for this instruction set",
                           .where = "the forced instruction set (--isa, TILEWISE_ISA)",
                           .expected = "one of " + levels(),
                           .found = forced ? name_of(*forced) : cpu.name,
                           .remedy = "Use another precision or instruction set"});
}

}  // namespace tilewise::kernels
