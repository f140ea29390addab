#include "base/cpuid.h"

namespace tilewise {
namespace {

constexpr uint64_t kAvxState = 0x6;            // XMM, YMM
constexpr uint64_t kAvx512State = 0xe6;        // and opmask, the upper halves of ZMM0-15, ZMM16-31
constexpr uint64_t kTileState = 0x3ull << 17;  // XTILECFG, XTILEDATA

bool bit(uint32_t word, int index) { return ((word >> index) & 1u) != 0; }

uint32_t family_of(uint32_t leaf1_eax) {
  const uint32_t family = (leaf1_eax >> 8) & 0xf;
  return family == 0xf ? family + ((leaf1_eax >> 20) & 0xff) : family;
}

/// Families 6 and 15 have 8 bits of it.
uint32_t model_of(uint32_t leaf1_eax) {
  return ((leaf1_eax >> 4) & 0xf) | ((leaf1_eax >> 12) & 0xf0);
}

/// Intel brought vdpbf16ps with Cooper Lake, at the full rate. From Sapphire Rapids on, which have
/// AMX for it, it takes four times as long as an fp32 multiply-add and does two of them: measured
/// there, a third slower than widening bf16 to fp32. On AMD (Zen 4, Zen 5) it is twice as fast.
bool has_slow_avx512_bf16(const CpuidAnswers& a) {
  constexpr uint32_t kCooperLakeModel = 0x55;  // shared with Skylake-SP and Cascade Lake
  const bool is_cooper_lake =
      family_of(a.leaf1_eax) == 6 && model_of(a.leaf1_eax) == kCooperLakeModel;
  return a.vendor == "GenuineIntel" && !is_cooper_lake;
}

}  // namespace

bool has_tile_state(uint64_t xcr0) { return (xcr0 & kTileState) == kTileState; }

CpuFeatures decode_cpuid(const CpuidAnswers& a) {
  const bool avx = bit(a.leaf1_ecx, 28) && (a.xcr0 & kAvxState) == kAvxState;
  const bool avx512 = avx && (a.xcr0 & kAvx512State) == kAvx512State;
  const bool amx = avx512 && has_tile_state(a.xcr0) && a.amx_permitted;

  CpuFeatures cpu;
  cpu.aes = bit(a.leaf1_ecx, 25);
  cpu.bmi2 = bit(a.leaf7_ebx, 8);
  cpu.fma = avx && bit(a.leaf1_ecx, 12);
  cpu.f16c = avx && bit(a.leaf1_ecx, 29);
  cpu.avx2 = avx && bit(a.leaf7_ebx, 5);
  cpu.avx_vnni = avx && bit(a.leaf7_1_eax, 4);
  cpu.avx512f = avx512 && bit(a.leaf7_ebx, 16);
  cpu.avx512dq = avx512 && bit(a.leaf7_ebx, 17);
  cpu.avx512cd = avx512 && bit(a.leaf7_ebx, 28);
  cpu.avx512bw = avx512 && bit(a.leaf7_ebx, 30);
  cpu.avx512vl = avx512 && bit(a.leaf7_ebx, 31);
  cpu.avx512_vnni = avx512 && bit(a.leaf7_ecx, 11);
  cpu.avx512_bf16 = avx512 && bit(a.leaf7_1_eax, 5);
  cpu.slow_avx512_bf16 = cpu.avx512_bf16 && has_slow_avx512_bf16(a);
  cpu.avx512_fp16 = avx512 && bit(a.leaf7_edx, 23);
  cpu.amx_bf16 = amx && bit(a.leaf7_edx, 22);
  cpu.amx_tile = amx && bit(a.leaf7_edx, 24);
  cpu.amx_int8 = amx && bit(a.leaf7_edx, 25);
  cpu.name = a.brand;
  return cpu;
}

}  // namespace tilewise
