// Which kernels which processor gets: a pure function of its flags, tested by name on any machine.
#include <gtest/gtest.h>

#include "kernels/kernel_set.h"

namespace tilewise::kernels {
namespace {

using model::Precision;

#if defined(__x86_64__)

CpuFeatures with_avx2(const char* name) {
  CpuFeatures cpu;
  cpu.avx2 = cpu.fma = cpu.f16c = cpu.bmi2 = cpu.aes = true;
  cpu.name = name;
  return cpu;
}

CpuFeatures with_avx512(const char* name) {
  CpuFeatures cpu = with_avx2(name);
  cpu.avx512f = cpu.avx512bw = cpu.avx512cd = cpu.avx512dq = cpu.avx512vl = true;
  return cpu;
}

CpuFeatures with_vnni(const char* name) {
  CpuFeatures cpu = with_avx512(name);
  cpu.avx512_vnni = true;
  return cpu;
}

CpuFeatures with_avx512_bf16(const char* name) {
  CpuFeatures cpu = with_vnni(name);
  cpu.avx512_bf16 = true;
  return cpu;
}

CpuFeatures with_amx(const char* name) {
  CpuFeatures cpu = with_avx512_bf16(name);
  cpu.avx_vnni = cpu.avx512_fp16 = cpu.amx_tile = cpu.amx_bf16 = cpu.amx_int8 = true;
  return cpu;
}

CpuFeatures sapphire_rapids() { return with_amx("Intel Sapphire Rapids"); }

CpuFeatures sandy_bridge() {
  CpuFeatures cpu;
  cpu.aes = true;
  cpu.name = "Intel Sandy Bridge (AVX only)";
  return cpu;
}

CpuFeatures knights_landing() {
  CpuFeatures cpu = with_avx2("Intel Knights Landing (AVX-512 without BW, DQ, VL)");
  cpu.avx512f = cpu.avx512cd = true;
  return cpu;
}

CpuFeatures amx_without_permission() {
  CpuFeatures cpu = with_amx("Intel Sapphire Rapids, AMX not allowed by the kernel");
  cpu.amx_tile = cpu.amx_bf16 = cpu.amx_int8 = false;
  return cpu;
}

CpuFeatures alder_lake() {
  CpuFeatures cpu = with_avx2("Intel Alder Lake");
  cpu.avx_vnni = true;
  return cpu;
}

CpuFeatures amx_int8_only() {
  CpuFeatures cpu = with_amx("a virtual machine that hides AMX-BF16");
  cpu.amx_bf16 = false;
  return cpu;
}

struct Expectation {
  CpuFeatures cpu;
  Isa fp32;
  Isa bf16;
};

class ChooseKernelsTest : public testing::TestWithParam<Expectation> {};

TEST_P(ChooseKernelsTest, TakesTheBest) {
  const auto& [cpu, fp32, bf16] = GetParam();
  const auto chosen_fp32 = choose_kernels(cpu, Precision::fp32);
  ASSERT_TRUE(chosen_fp32.ok()) << chosen_fp32.status().message();
  EXPECT_STREQ(name_of((*chosen_fp32)->isa), name_of(fp32)) << cpu.name;
  EXPECT_EQ((*chosen_fp32)->precision, Precision::fp32);
  const auto chosen_bf16 = choose_kernels(cpu, Precision::bf16);
  ASSERT_TRUE(chosen_bf16.ok()) << chosen_bf16.status().message();
  EXPECT_STREQ(name_of((*chosen_bf16)->isa), name_of(bf16)) << cpu.name;
  EXPECT_EQ((*chosen_bf16)->precision, Precision::bf16);
}

INSTANTIATE_TEST_SUITE_P(
    Processors, ChooseKernelsTest,
    testing::Values(
        Expectation{CpuFeatures{}, Isa::portable, Isa::portable},
        Expectation{sandy_bridge(), Isa::portable, Isa::portable},
        Expectation{with_avx2("Intel Haswell"), Isa::avx2, Isa::avx2},
        Expectation{with_avx2("AMD Zen 2 (Rome)"), Isa::avx2, Isa::avx2},
        Expectation{with_avx2("AMD Zen 3 (Milan)"), Isa::avx2, Isa::avx2},
        Expectation{alder_lake(), Isa::avx2, Isa::avx2},
        Expectation{knights_landing(), Isa::avx2, Isa::avx2},
        Expectation{with_avx512("Intel Skylake-SP"), Isa::avx512, Isa::avx512},
        Expectation{with_vnni("Intel Cascade Lake"), Isa::avx512, Isa::avx512},
        Expectation{with_avx512_bf16("Intel Cooper Lake"), Isa::avx512, Isa::avx512_bf16},
        Expectation{with_vnni("Intel Ice Lake-SP"), Isa::avx512, Isa::avx512},
        Expectation{with_avx512_bf16("AMD Zen 4 (Genoa)"), Isa::avx512, Isa::avx512_bf16},
        Expectation{with_avx512_bf16("AMD Zen 5 (Turin)"), Isa::avx512, Isa::avx512_bf16},
        Expectation{amx_without_permission(), Isa::avx512, Isa::avx512_bf16},
        Expectation{amx_int8_only(), Isa::avx512, Isa::avx512_bf16},
        Expectation{sapphire_rapids(), Isa::avx512, Isa::amx},
        Expectation{with_amx("Intel Granite Rapids"), Isa::avx512, Isa::amx}));

TEST(ChooseKernels, AForcedLevelIsAnUpperBound) {
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    for (const Isa forced : {Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx}) {
      const auto chosen = choose_kernels(sapphire_rapids(), precision, forced);
      ASSERT_TRUE(chosen.ok()) << chosen.status().message();
      // fp32 has no kernels of its own above avx512, and the set says so.
      const Isa expected =
          precision == Precision::fp32 && forced > Isa::avx512 ? Isa::avx512 : forced;
      EXPECT_STREQ(name_of((*chosen)->isa), name_of(expected)) << name_of(precision);
    }
  }
}

TEST(ChooseKernels, AForcedLevelThatTheCpuLacksIsAnError) {
  const auto chosen = choose_kernels(with_avx2("AMD Zen 3 (Milan)"), Precision::fp32, Isa::avx512);
  ASSERT_FALSE(chosen.ok());
  EXPECT_EQ(chosen.status().code(), StatusCode::unavailable_machine);
  EXPECT_NE(chosen.status().message().find("avx512"), std::string::npos);
  EXPECT_NE(chosen.status().message().find("AMD Zen 3 (Milan)"), std::string::npos);
  EXPECT_EQ(choose_kernels(sapphire_rapids(), Precision::bf16, Isa::neon).status().code(),
            StatusCode::unavailable_machine);
}

TEST(ChooseKernels, APrecisionWithoutKernelsIsAnError) {
  for (const std::optional<Isa> forced : {std::optional<Isa>(), std::optional(Isa::avx2)}) {
    const auto chosen = choose_kernels(sapphire_rapids(), Precision::int8, forced);
    ASSERT_FALSE(chosen.ok());
    EXPECT_EQ(chosen.status().code(), StatusCode::invalid_argument);
    EXPECT_NE(chosen.status().message().find("int8"), std::string::npos);
  }
}

#else

TEST(ChooseKernels, ArmHasNeon) {
  CpuFeatures cpu;
  cpu.neon = true;
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    const auto chosen = choose_kernels(cpu, precision);
    ASSERT_TRUE(chosen.ok()) << chosen.status().message();
    EXPECT_STREQ(name_of((*chosen)->isa), "neon");
  }
}

#endif

TEST(ChooseKernels, EverySetIsComplete) {
  for (const KernelSet& set : all_kernel_sets()) {
    SCOPED_TRACE(std::string(name_of(set.isa)) + " " + name_of(set.precision));
    EXPECT_NE(set.linear, nullptr);
    EXPECT_NE(set.linear_fp32, nullptr);
    EXPECT_NE(set.attention, nullptr);
    EXPECT_NE(set.attention_scratch, nullptr);
    EXPECT_NE(set.embed, nullptr);
    EXPECT_NE(set.add_norm, nullptr);
    EXPECT_NE(set.activate, nullptr);
    EXPECT_NE(set.pool, nullptr);
    EXPECT_NE(set.begin_pass, nullptr);
    EXPECT_NE(set.end_pass, nullptr);
    EXPECT_NE(set.peak, nullptr);
  }
}

}  // namespace
}  // namespace tilewise::kernels
