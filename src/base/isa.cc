#include "base/isa.h"

#include <array>
#include <utility>

namespace tilewise {
namespace {

constexpr std::array<std::pair<Isa, const char*>, 9> kNames = {{
    {Isa::portable, "portable"},
    {Isa::neon, "neon"},
    {Isa::neon_dot, "neon_dot"},
    {Isa::avx2, "avx2"},
    {Isa::avx_vnni, "avx_vnni"},
    {Isa::avx512, "avx512"},
    {Isa::avx512_vnni, "avx512_vnni"},
    {Isa::avx512_bf16, "avx512_bf16"},
    {Isa::amx, "amx"},
}};

}  // namespace

const char* name_of(Isa isa) {
  for (const auto& [candidate, name] : kNames) {
    if (candidate == isa) return name;
  }
  return "unknown";
}

std::optional<Isa> parse_isa(std::string_view name) {
  for (const auto& [isa, candidate] : kNames) {
    if (name == candidate) return isa;
  }
  return std::nullopt;
}

std::string isa_names() {
  std::string names;
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (i > 0) names += i + 1 < kNames.size() ? ", " : " or ";
    names += kNames[i].second;
  }
  return names;
}

bool supports(const CpuFeatures& cpu, Isa isa) {
  switch (isa) {
    case Isa::portable:
      return true;
    case Isa::neon:
      return cpu.neon;
    case Isa::neon_dot:
      return cpu.neon && cpu.arm_dot;
    case Isa::avx2:
      return cpu.avx2 && cpu.fma && cpu.f16c && cpu.bmi2;
    case Isa::avx_vnni:
      return supports(cpu, Isa::avx2) && cpu.avx_vnni;
    case Isa::avx512:
      // The compiler's -mavx512f brings AVX2 along, so these kernels need both.
      return supports(cpu, Isa::avx2) && cpu.avx512f && cpu.avx512bw && cpu.avx512cd &&
             cpu.avx512dq && cpu.avx512vl;
    case Isa::avx512_vnni:
      return supports(cpu, Isa::avx512) && cpu.avx512_vnni;
    case Isa::avx512_bf16:
      return supports(cpu, Isa::avx512) && cpu.avx512_bf16;
    case Isa::amx:
      return supports(cpu, Isa::avx512_bf16) && supports(cpu, Isa::avx512_vnni) && cpu.amx_tile &&
             cpu.amx_bf16 && cpu.amx_int8;
  }
  return false;
}

std::vector<Isa> supported_isas(const CpuFeatures& cpu) {
  std::vector<Isa> isas;
  for (const auto& [isa, name] : kNames) {
    if (supports(cpu, isa)) isas.push_back(isa);
  }
  return isas;
}

}  // namespace tilewise
