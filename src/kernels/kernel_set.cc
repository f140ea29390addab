#include "kernels/kernel_set.h"

#include <array>
#include <cstdint>

#include "kernels/rate_of.h"
#include "kernels/tile_shapes.h"

// The functions of every set in kernels.inc.
#define TILEWISE_DECLARE_LINEAR_AND_ATTENTION \
  void linear(const LinearArgs& args);        \
  void attention(const AttentionArgs& args);  \
  size_t attention_scratch(int32_t longest, int32_t head_dim);
#define TILEWISE_KERNELS(isa, name, precision, fp32_name) \
  namespace tilewise::kernels::name::precision {          \
  TILEWISE_DECLARE_LINEAR_AND_ATTENTION                   \
  void embed(const EmbedArgs& args);                      \
  void add_norm(const AddNormArgs& args);                 \
  void activate(const ActivateArgs& args);                \
  void rotate(const RotateArgs& args);                    \
  void pool(const PoolArgs& args);                        \
  double busy(int64_t rounds);                            \
  }
#define TILEWISE_MATRIX_KERNELS(isa, name, precision, rows_name, fp32_name) \
  namespace tilewise::kernels::name {                                       \
  TILEWISE_DECLARE_LINEAR_AND_ATTENTION                                     \
  void begin_pass();                                                        \
  void end_pass();                                                          \
  double precision##_peak(double seconds);                                  \
  }
#include "kernels/kernels.inc"

namespace tilewise::kernels {
namespace {

void nothing_to_prepare() {}

constexpr auto kSets = std::to_array<KernelSet>({
#define TILEWISE_KERNELS(isa_, name, precision_, fp32_name)  \
  {.isa = Isa::isa_,                                         \
   .precision = model::Precision::precision_,                \
   .linear = name::precision_::linear,                       \
   .linear_fp32 = fp32_name::fp32::linear,                   \
   .attention = name::precision_::attention,                 \
   .attention_scratch = name::precision_::attention_scratch, \
   .embed = name::precision_::embed,                         \
   .add_norm = name::precision_::add_norm,                   \
   .add_norm_fp32 = fp32_name::fp32::add_norm,               \
   .activate = name::precision_::activate,                   \
   .rotate = name::precision_::rotate,                       \
   .pool = name::precision_::pool,                           \
   .begin_pass = nothing_to_prepare,                         \
   .end_pass = nothing_to_prepare,                           \
   .peak = rate_of<name::precision_::busy>},
#define TILEWISE_MATRIX_KERNELS(isa_, name, precision_, rows_name, fp32_name) \
  {.isa = Isa::isa_,                                                          \
   .precision = model::Precision::precision_,                                 \
   .linear = name::linear,                                                    \
   .linear_fp32 = fp32_name::fp32::linear,                                    \
   .attention = name::attention,                                              \
   .attention_scratch = name::attention_scratch,                              \
   .embed = rows_name::precision_::embed,                                     \
   .add_norm = rows_name::precision_::add_norm,                               \
   .add_norm_fp32 = fp32_name::fp32::add_norm,                                \
   .activate = rows_name::precision_::activate,                               \
   .rotate = rows_name::precision_::rotate,                                   \
   .pool = rows_name::precision_::pool,                                       \
   .begin_pass = name::begin_pass,                                            \
   .end_pass = name::end_pass,                                                \
   .peak = name::precision_##_peak},
#include "kernels/kernels.inc"
});

/// "avx512, avx2, portable"
std::string levels_of(model::Precision precision) {
  std::string levels;
  for (const KernelSet& set : kSets) {
    if (set.precision != precision) continue;
    if (!levels.empty()) levels += ", ";
    levels += name_of(set.isa);
  }
  return levels.empty() ? "none" : levels;
}

/// Where a set further down the list is faster, only its own name brings it.
bool is_allowed(const CpuFeatures& cpu, const KernelSet& set, std::optional<Isa> forced) {
  if (forced && set.isa >= *forced) return set.isa == *forced;
  const bool is_slow = set.isa == Isa::avx512_bf16 && cpu.slow_avx512_bf16;
  return !is_slow;
}

}  // namespace

std::span<const KernelSet> all_kernel_sets() { return kSets; }

Status check_forced(const CpuFeatures& cpu, std::optional<Isa> forced) {
  if (!forced || supports(cpu, *forced)) return {};
  return unavailable_machine(
      {.what = std::string("this CPU does not have the instruction set ") + name_of(*forced),
       .where = "the forced instruction set (--isa, TILEWISE_ISA)",
       .found = cpu.name,
       .remedy = "Choose one of those that `tilewise devices` lists, or none"});
}

Result<const KernelSet*> choose_kernels(const CpuFeatures& cpu, model::Precision precision,
                                        std::optional<Isa> forced) {
  TILEWISE_RETURN_IF_ERROR(check_forced(cpu, forced));
  for (const KernelSet& set : kSets) {
    if (set.precision == precision && supports(cpu, set.isa) && is_allowed(cpu, set, forced)) {
      return &set;
    }
  }
  return invalid_argument(
      {.what = std::string("there are no ") + name_of(precision) + " kernels" +
               (forced ? std::string(" for the instruction set ") + name_of(*forced) : ""),
       .where = forced ? "the forced instruction set (--isa, TILEWISE_ISA)" : "",
       .expected =
           std::string("one of these for ") + name_of(precision) + ": " + levels_of(precision),
       .remedy = "Use another precision or instruction set"});
}

Isa attention_isa(const KernelSet& set, int32_t head_dim) {
  return set.isa == Isa::amx && !tiles_suit_heads(head_dim) ? kVectorsBesideTiles : set.isa;
}

double measure_peak(const KernelSet& set, double seconds) { return set.peak(seconds); }

}  // namespace tilewise::kernels
