#include "base/cpuid.h"

#include <gtest/gtest.h>

namespace tilewise {
namespace {

// All feature bits set: what is left out then comes from the operating system's side.
CpuidAnswers full_processor(uint64_t xcr0, bool amx_permitted) {
  CpuidAnswers answers;
  answers.leaf1_ecx = answers.leaf7_ebx = answers.leaf7_ecx = answers.leaf7_edx =
      answers.leaf7_1_eax = ~0u;
  answers.xcr0 = xcr0;
  answers.amx_permitted = amx_permitted;
  return answers;
}

// XCR0 by Intel SDM volume 1, 13.3: bit 1 SSE, 2 AVX, 5-7 AVX-512, 17-18 AMX.
constexpr uint64_t kSse = 0x3, kAvx = 0x7, kAvx512 = 0xe7, kAmx = 0x600e7;

TEST(DecodeCpuid, FullProcessorOnAFullKernel) {
  const CpuFeatures cpu = decode_cpuid(full_processor(kAmx, true));
  EXPECT_TRUE(supports(cpu, Isa::amx));
  EXPECT_TRUE(cpu.amx_int8 && cpu.avx512_vnni && cpu.avx512_fp16 && cpu.avx_vnni && cpu.aes);
  EXPECT_FALSE(cpu.neon);
}

TEST(DecodeCpuid, NoRegisterStateNoFeature) {
  const CpuFeatures sse = decode_cpuid(full_processor(kSse, false));
  EXPECT_EQ(supported_isas(sse), std::vector{Isa::portable});
  EXPECT_FALSE(sse.avx2 || sse.fma || sse.f16c || sse.avx_vnni);
  EXPECT_TRUE(sse.bmi2 && sse.aes);  // these use registers that every kernel saves

  EXPECT_EQ(supported_isas(decode_cpuid(full_processor(0, false))), std::vector{Isa::portable});
  EXPECT_EQ(supported_isas(decode_cpuid(full_processor(kAvx, false))),
            (std::vector{Isa::portable, Isa::avx2, Isa::avx_vnni}));
  // Opmask state without the upper halves of ZMM is not AVX-512.
  EXPECT_FALSE(decode_cpuid(full_processor(kAvx | 0x20, false)).avx512f);
}

TEST(DecodeCpuid, AmxNeedsBothStatesAndThePermission) {
  EXPECT_TRUE(decode_cpuid(full_processor(kAmx, true)).amx_tile);
  EXPECT_FALSE(decode_cpuid(full_processor(kAmx, false)).amx_tile);
  EXPECT_FALSE(decode_cpuid(full_processor(kAvx512 | (1u << 17), true)).amx_tile);
  EXPECT_FALSE(decode_cpuid(full_processor(kAvx512 | (1u << 18), true)).amx_tile);
  EXPECT_FALSE(has_tile_state(kAvx512));
  EXPECT_TRUE(has_tile_state(kAmx));
}

// One bit at a time, by the tables of Intel SDM volume 2A, CPUID.
TEST(DecodeCpuid, EachBitIsItsOwnFeature) {
  struct Bit {
    uint32_t CpuidAnswers::* word;
    int index;
    bool CpuFeatures::* feature;
  };
  const Bit bits[] = {
      {&CpuidAnswers::leaf1_ecx, 12, &CpuFeatures::fma},
      {&CpuidAnswers::leaf1_ecx, 25, &CpuFeatures::aes},
      {&CpuidAnswers::leaf1_ecx, 29, &CpuFeatures::f16c},
      {&CpuidAnswers::leaf7_ebx, 5, &CpuFeatures::avx2},
      {&CpuidAnswers::leaf7_ebx, 8, &CpuFeatures::bmi2},
      {&CpuidAnswers::leaf7_ebx, 16, &CpuFeatures::avx512f},
      {&CpuidAnswers::leaf7_ebx, 17, &CpuFeatures::avx512dq},
      {&CpuidAnswers::leaf7_ebx, 28, &CpuFeatures::avx512cd},
      {&CpuidAnswers::leaf7_ebx, 30, &CpuFeatures::avx512bw},
      {&CpuidAnswers::leaf7_ebx, 31, &CpuFeatures::avx512vl},
      {&CpuidAnswers::leaf7_ecx, 11, &CpuFeatures::avx512_vnni},
      {&CpuidAnswers::leaf7_edx, 22, &CpuFeatures::amx_bf16},
      {&CpuidAnswers::leaf7_edx, 23, &CpuFeatures::avx512_fp16},
      {&CpuidAnswers::leaf7_edx, 24, &CpuFeatures::amx_tile},
      {&CpuidAnswers::leaf7_edx, 25, &CpuFeatures::amx_int8},
      {&CpuidAnswers::leaf7_1_eax, 4, &CpuFeatures::avx_vnni},
      {&CpuidAnswers::leaf7_1_eax, 5, &CpuFeatures::avx512_bf16},
  };
  for (const Bit& set : bits) {
    CpuidAnswers answers;
    answers.leaf1_ecx = 1u << 28;  // AVX, under which most others are
    answers.xcr0 = kAmx;
    answers.amx_permitted = true;
    answers.*set.word |= 1u << set.index;
    const CpuFeatures cpu = decode_cpuid(answers);
    for (const Bit& other : bits) {
      EXPECT_EQ(cpu.*other.feature, other.feature == set.feature)
          << "bit " << set.index << ", other " << other.index;
    }
  }
}

// Vendor and signature (leaf 1, EAX) of real processors. vdpbf16ps is slow on Intel's since
// Sapphire Rapids, whatever a virtual machine hides, and on no other.
TEST(DecodeCpuid, SlowAvx512Bf16) {
  const auto is_slow = [](const char* vendor, uint32_t signature) {
    CpuidAnswers answers = full_processor(kAvx512, false);
    answers.vendor = vendor;
    answers.leaf1_eax = signature;
    return decode_cpuid(answers).slow_avx512_bf16;
  };
  EXPECT_TRUE(is_slow("GenuineIntel", 0x000806f8)) << "Sapphire Rapids";
  EXPECT_TRUE(is_slow("GenuineIntel", 0x000c06f2)) << "Emerald Rapids";
  EXPECT_TRUE(is_slow("GenuineIntel", 0x000a06d1)) << "Granite Rapids";
  EXPECT_TRUE(is_slow("GenuineIntel", 0x000a0671)) << "a virtual machine that says Rocket Lake";
  EXPECT_FALSE(is_slow("GenuineIntel", 0x0005065b)) << "Cooper Lake";
  EXPECT_FALSE(is_slow("AuthenticAMD", 0x00a10f11)) << "Zen 4 (Genoa)";
  EXPECT_FALSE(is_slow("AuthenticAMD", 0x00b00f21)) << "Zen 5 (Turin)";
  EXPECT_FALSE(is_slow("", 0)) << "an unknown processor";
  // Family 15 counts on in the extended family, so this is no Cooper Lake but family 0x15.
  EXPECT_TRUE(is_slow("GenuineIntel", 0x00650f5b));
}

TEST(DecodeCpuid, WithoutTheInstructionItIsNotSlow) {
  CpuidAnswers answers;
  answers.vendor = "GenuineIntel";
  EXPECT_FALSE(decode_cpuid(answers).slow_avx512_bf16);
}

TEST(DecodeCpuid, KeepsTheName) {
  CpuidAnswers answers;
  answers.brand = "Some Processor 9000";
  EXPECT_EQ(decode_cpuid(answers).name, "Some Processor 9000");
}

}  // namespace
}  // namespace tilewise
