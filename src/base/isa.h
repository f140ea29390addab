// The instruction-set levels that kernels are built for, and what a CPU offers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tilewise {

/// In order of preference, weakest first. A level includes those that its kernels need, not all before it.
enum class Isa {
  portable,     ///< what the compiler's baseline gives (SSE2 on x86-64)
  neon,         ///< Arm: what Highway gives there
  neon_dot,     ///< neon + the dot products of Armv8.2 (int8)
  avx2,         ///< AVX2 + FMA + F16C + BMI2
  avx_vnni,     ///< avx2 + AVX-VNNI (int8)
  avx512,       ///< AVX-512 F, BW, CD, DQ, VL
  avx512_vnni,  ///< avx512 + AVX512_VNNI (int8)
  avx512_bf16,  ///< avx512 + AVX512_BF16
  amx,          ///< avx512_bf16 + avx512_vnni + AMX-TILE + AMX-BF16 + AMX-INT8, allowed by the kernel
};

/// The enumerators as text: "portable", "neon", ... "amx".
const char* name_of(Isa isa);
std::optional<Isa> parse_isa(std::string_view name);

/// All of them for messages: "portable, neon, ..., avx512_bf16 or amx".
std::string isa_names();

/// Plain flags, so that kernel choice is tested for any CPU on any machine.
struct CpuFeatures {
  bool avx2 = false, fma = false, f16c = false, bmi2 = false, aes = false;
  bool avx512f = false, avx512bw = false, avx512cd = false, avx512dq = false, avx512vl = false;
  bool avx512_bf16 = false, avx512_vnni = false, avx_vnni = false, avx512_fp16 = false;
  /// It has AVX512-BF16, but slower than fp32: Intel since Sapphire Rapids, where AMX is the fast way.
  bool slow_avx512_bf16 = false;
  bool amx_tile = false, amx_bf16 = false, amx_int8 = false;
  bool neon = false, arm_bf16 = false, arm_dot = false;
  std::string name;  ///< "Intel(R) Xeon(R) Processor", for reports only
};

/// Reads CPUID and the operating system's support of the register state (XCR0 on x86; AMX also asks the Linux kernel for
/// its permission, once per process). Thread-safe; the first call does the work.
const CpuFeatures& cpu_features();

/// Whether kernels of `isa` may run on a CPU with these features. A pure function.
bool supports(const CpuFeatures& cpu, Isa isa);

/// All levels that run on this CPU, weakest first. `portable` (or `neon` on Arm) is always there.
std::vector<Isa> supported_isas(const CpuFeatures& cpu);

}  // namespace tilewise
