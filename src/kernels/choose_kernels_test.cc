// Which kernels which processor gets: a pure function of its flags, tested by name on any machine.
#include <algorithm>
#include <initializer_list>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/int8_kernel_set.h"
#include "kernels/kernel_set.h"
#include "kernels/tile_shapes.h"

namespace tilewise::kernels {
namespace {

using model::Precision;

/// A processor and what each precision runs on there.
struct Processor {
  const char* name;
  CpuFeatures cpu;
  Isa fp32, bf16, int8;
};
void PrintTo(const Processor& processor, std::ostream* out) { *out << processor.name; }

class ChooseKernelsTest : public testing::TestWithParam<Processor> {};

TEST_P(ChooseKernelsTest, TakesTheBest) {
  const auto expect = [](Precision precision, Isa expected) {
    const auto chosen = choose_kernels(GetParam().cpu, precision);
    ASSERT_TRUE(chosen.ok()) << chosen.status().message();
    EXPECT_STREQ(name_of((*chosen)->isa), name_of(expected)) << name_of(precision);
    EXPECT_EQ((*chosen)->precision, precision);
  };
  expect(Precision::fp32, GetParam().fp32);
  expect(Precision::bf16, GetParam().bf16);
}

TEST_P(ChooseKernelsTest, TakesTheBestForInt8) {
  const auto sets = all_int8_kernel_sets();
  const auto has = [&](Isa isa) {
    return std::any_of(sets.begin(), sets.end(), [&](const auto& set) { return set.isa == isa; });
  };
  if (!has(GetParam().int8)) {
    GTEST_SKIP() << "this build has no int8 kernels on " << name_of(GetParam().int8);
  }
  const auto chosen = choose_int8_kernels(GetParam().cpu);
  ASSERT_TRUE(chosen.ok()) << chosen.status().message();
  EXPECT_STREQ(name_of((*chosen)->isa), name_of(GetParam().int8));
}

#if defined(__x86_64__)

CpuFeatures named(CpuFeatures cpu, const char* name) {
  cpu.name = name;
  return cpu;
}

CpuFeatures with_avx2() {
  CpuFeatures cpu;
  cpu.avx2 = cpu.fma = cpu.f16c = cpu.bmi2 = cpu.aes = true;
  return cpu;
}

CpuFeatures with_avx_vnni() {
  CpuFeatures cpu = with_avx2();
  cpu.avx_vnni = true;
  return cpu;
}

CpuFeatures with_avx512() {
  CpuFeatures cpu = with_avx2();
  cpu.avx512f = cpu.avx512bw = cpu.avx512cd = cpu.avx512dq = cpu.avx512vl = true;
  return cpu;
}

CpuFeatures with_avx512_vnni() {
  CpuFeatures cpu = with_avx512();
  cpu.avx512_vnni = true;
  return cpu;
}

CpuFeatures with_avx512_bf16() {
  CpuFeatures cpu = with_avx512_vnni();
  cpu.avx512_bf16 = true;
  return cpu;
}

CpuFeatures zen5() {
  CpuFeatures cpu = with_avx512_bf16();
  cpu.avx_vnni = true;
  return cpu;
}

CpuFeatures sapphire_rapids() {
  CpuFeatures cpu = zen5();
  cpu.avx512_fp16 = cpu.slow_avx512_bf16 = true;
  cpu.amx_tile = cpu.amx_bf16 = cpu.amx_int8 = true;
  return named(cpu, "Sapphire Rapids");
}

CpuFeatures sapphire_rapids_without(std::initializer_list<bool CpuFeatures::*> hidden) {
  CpuFeatures cpu = sapphire_rapids();
  for (const auto flag : hidden) cpu.*flag = false;
  return cpu;
}

CpuFeatures knights_landing() {
  CpuFeatures cpu = with_avx2();
  cpu.avx512f = cpu.avx512cd = true;  // no BW, DQ, VL
  return cpu;
}

// The flags by the vendors' documents. Sapphire Rapids with parts of it hidden or not permitted is
// what virtual machines, sandboxes and older Linux kernels show.
INSTANTIATE_TEST_SUITE_P(
    Processors, ChooseKernelsTest,
    testing::Values(
        Processor{"SandyBridge", {}, Isa::portable, Isa::portable, Isa::portable},
        Processor{"Haswell", with_avx2(), Isa::avx2, Isa::avx2, Isa::avx2},
        Processor{"Zen2", with_avx2(), Isa::avx2, Isa::avx2, Isa::avx2},
        Processor{"Zen3", with_avx2(), Isa::avx2, Isa::avx2, Isa::avx2},
        Processor{"AlderLake", with_avx_vnni(), Isa::avx2, Isa::avx2, Isa::avx_vnni},
        Processor{"SierraForest", with_avx_vnni(), Isa::avx2, Isa::avx2, Isa::avx_vnni},
        Processor{"KnightsLanding", knights_landing(), Isa::avx2, Isa::avx2, Isa::avx2},
        Processor{"SkylakeSp", with_avx512(), Isa::avx512, Isa::avx512, Isa::avx2},
        Processor{"CascadeLake", with_avx512_vnni(), Isa::avx512, Isa::avx512, Isa::avx512_vnni},
        Processor{"IceLake", with_avx512_vnni(), Isa::avx512, Isa::avx512, Isa::avx512_vnni},
        Processor{"CooperLake", with_avx512_bf16(), Isa::avx512, Isa::avx512_bf16,
                  Isa::avx512_vnni},
        Processor{"Zen4", with_avx512_bf16(), Isa::avx512, Isa::avx512_bf16, Isa::avx512_vnni},
        Processor{"Zen5", zen5(), Isa::avx512, Isa::avx512_bf16, Isa::avx512_vnni},
        Processor{"SapphireRapids", sapphire_rapids(), Isa::avx512, Isa::amx, Isa::amx},
        Processor{"EmeraldRapids", sapphire_rapids(), Isa::avx512, Isa::amx, Isa::amx},
        Processor{"GraniteRapids", sapphire_rapids(), Isa::avx512, Isa::amx, Isa::amx},
        Processor{"SapphireRapidsWithoutAmxPermission",
                  sapphire_rapids_without({&CpuFeatures::amx_tile, &CpuFeatures::amx_bf16,
                                           &CpuFeatures::amx_int8}),
                  Isa::avx512, Isa::avx512, Isa::avx512_vnni},
        Processor{"SapphireRapidsHidingAmxInt8", sapphire_rapids_without({&CpuFeatures::amx_int8}),
                  Isa::avx512, Isa::avx512, Isa::avx512_vnni},
        Processor{"SapphireRapidsHidingAmxBf16", sapphire_rapids_without({&CpuFeatures::amx_bf16}),
                  Isa::avx512, Isa::avx512, Isa::avx512_vnni},
        Processor{"SapphireRapidsHidingVnni", sapphire_rapids_without({&CpuFeatures::avx512_vnni}),
                  Isa::avx512, Isa::avx512, Isa::avx_vnni},
        Processor{
            "SapphireRapidsHidingBf16",
            sapphire_rapids_without({&CpuFeatures::avx512_bf16, &CpuFeatures::slow_avx512_bf16}),
            Isa::avx512, Isa::avx512, Isa::avx512_vnni},
        Processor{"SapphireRapidsHidingAvx512",
                  sapphire_rapids_without({&CpuFeatures::avx512f, &CpuFeatures::avx512bw,
                                           &CpuFeatures::avx512cd, &CpuFeatures::avx512dq,
                                           &CpuFeatures::avx512vl}),
                  Isa::avx2, Isa::avx2, Isa::avx_vnni}),
    [](const auto& tested) { return tested.param.name; });

TEST(ChooseKernels, AForcedLevelIsAnUpperBound) {
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    for (const Isa forced : {Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx}) {
      // Slow or not: who names a level gets it.
      const auto chosen = choose_kernels(sapphire_rapids(), precision, forced);
      ASSERT_TRUE(chosen.ok()) << chosen.status().message();
      // fp32 has no kernels of its own above avx512, and the set says so.
      const Isa expected =
          precision == Precision::fp32 && forced > Isa::avx512 ? Isa::avx512 : forced;
      EXPECT_STREQ(name_of((*chosen)->isa), name_of(expected)) << name_of(precision);
    }
  }
}

TEST(ChooseKernels, AForcedLevelBetweenTwoSetsTakesTheLower) {
  const auto bf16 = choose_kernels(zen5(), Precision::bf16, Isa::avx512_vnni);
  ASSERT_TRUE(bf16.ok()) << bf16.status().message();
  EXPECT_STREQ(name_of((*bf16)->isa), "avx512");
  const auto vnni = choose_kernels(with_avx_vnni(), Precision::bf16, Isa::avx_vnni);
  ASSERT_TRUE(vnni.ok()) << vnni.status().message();
  EXPECT_STREQ(name_of((*vnni)->isa), "avx2");
}

TEST(ChooseInt8Kernels, AForcedLevelIsAnUpperBound) {
  for (const Isa forced : {Isa::portable, Isa::avx2, Isa::avx_vnni, Isa::avx512, Isa::avx512_vnni,
                           Isa::avx512_bf16, Isa::amx}) {
    const auto chosen = choose_int8_kernels(sapphire_rapids(), forced);
    ASSERT_TRUE(chosen.ok()) << chosen.status().message();
    EXPECT_LE((*chosen)->isa, forced);
    // It is the best of those under the level: the next better one in the list is above it.
    for (const Int8KernelSet& set : all_int8_kernel_sets()) {
      EXPECT_TRUE(set.isa > forced || set.isa <= (*chosen)->isa) << name_of(forced);
    }
  }
  EXPECT_STREQ(name_of((*choose_int8_kernels(sapphire_rapids(), Isa::portable))->isa), "portable");
}

TEST(ChooseKernels, AForcedLevelThatTheCpuLacksIsAnError) {
  const CpuFeatures milan = named(with_avx2(), "AMD Zen 3 (Milan)");
  const auto expect_refused = [&](const Status& status) {
    EXPECT_EQ(status.code(), StatusCode::unavailable_machine);
    EXPECT_NE(status.message().find("avx512"), std::string::npos) << status.message();
    EXPECT_NE(status.message().find("AMD Zen 3 (Milan)"), std::string::npos) << status.message();
  };
  expect_refused(choose_kernels(milan, Precision::fp32, Isa::avx512).status());
  expect_refused(choose_int8_kernels(milan, Isa::avx512).status());
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

// The shape that matters: the tile unit takes heads of 32 and 64 values, vectors all others.
TEST(AttentionIsa, FollowsTheSizeOfTheHeads) {
  const KernelSet& amx = **choose_kernels(sapphire_rapids(), Precision::bf16);
  ASSERT_STREQ(name_of(amx.isa), "amx");
  struct Model {
    const char* name;
    int32_t head_dim;
    Isa expected;
  };
  for (const Model& model :
       {Model{"MiniLM-L6-H384", 32, Isa::amx}, Model{"BERT-base", 64, Isa::amx},
        Model{"BERT-large", 64, Isa::amx}, Model{"a head of 16", 16, Isa::avx512},
        Model{"a head of 48", 48, Isa::avx512}, Model{"a head of 80", 80, Isa::avx512},
        Model{"a head of 128", 128, Isa::avx512}}) {
    EXPECT_STREQ(name_of(attention_isa(amx, model.head_dim)), name_of(model.expected))
        << model.name;
  }
  for (const KernelSet& set : all_kernel_sets()) {
    if (set.isa == Isa::amx) continue;
    for (const int32_t head_dim : {1, 32, 48, 256})
      EXPECT_EQ(attention_isa(set, head_dim), set.isa);
  }
}

#elif defined(__aarch64__)

CpuFeatures with_neon(bool dot, bool bf16) {
  CpuFeatures cpu;
  cpu.neon = cpu.aes = true;
  cpu.arm_dot = dot;
  cpu.arm_bf16 = bf16;
  return cpu;
}

INSTANTIATE_TEST_SUITE_P(
    Processors, ChooseKernelsTest,
    testing::Values(
        Processor{"RaspberryPi4", with_neon(false, false), Isa::neon, Isa::neon, Isa::neon},
        Processor{"Graviton1", with_neon(false, false), Isa::neon, Isa::neon, Isa::neon},
        Processor{"Graviton2", with_neon(true, false), Isa::neon, Isa::neon, Isa::neon_dot},
        Processor{"AmpereAltra", with_neon(true, false), Isa::neon, Isa::neon, Isa::neon_dot},
        Processor{"Graviton3", with_neon(true, true), Isa::neon, Isa::neon, Isa::neon_dot},
        Processor{"Graviton4", with_neon(true, true), Isa::neon, Isa::neon, Isa::neon_dot},
        Processor{"GoogleAxion", with_neon(true, true), Isa::neon, Isa::neon, Isa::neon_dot}),
    [](const auto& tested) { return tested.param.name; });

#else

INSTANTIATE_TEST_SUITE_P(Processors, ChooseKernelsTest,
                         testing::Values(Processor{
                             "Any", {}, Isa::portable, Isa::portable, Isa::portable}),
                         [](const auto& tested) { return tested.param.name; });

#endif

/// Whose functions a set calls, by the namespaces of kernels.inc.
struct Borrowed {
  Isa isa;
  const char* from;
};
const Borrowed kBorrowed[] = {
    {Isa::amx, name_of(kVectorsBesideTiles)},
#define TILEWISE_KERNELS(isa_, name, precision, fp32_name) \
  {Isa::isa_, #name}, {Isa::isa_, #fp32_name},
#define TILEWISE_MATRIX_KERNELS(isa_, name, precision, rows_name, fp32_name) \
  {Isa::isa_, #name}, {Isa::isa_, #rows_name}, {Isa::isa_, #fp32_name},
#define TILEWISE_INT8_KERNELS(isa_, name) {Isa::isa_, #name},
#define TILEWISE_INT8_MATRIX_KERNELS(isa_, name, rows_name) \
  {Isa::isa_, #name}, {Isa::isa_, #rows_name},
#include "kernels/kernels.inc"
};

// So that no processor ever meets a function that it cannot run: whatever flag is missing, a set
// that is still supported borrows from levels that are.
TEST(ChooseKernels, ASetBorrowsOnlyFromLevelsThatItsOwnIncludes) {
  CpuFeatures all;
  std::vector<bool CpuFeatures::*> flags = {
      &CpuFeatures::avx2,        &CpuFeatures::fma,         &CpuFeatures::f16c,
      &CpuFeatures::bmi2,        &CpuFeatures::avx512f,     &CpuFeatures::avx512bw,
      &CpuFeatures::avx512cd,    &CpuFeatures::avx512dq,    &CpuFeatures::avx512vl,
      &CpuFeatures::avx512_bf16, &CpuFeatures::avx512_vnni, &CpuFeatures::avx_vnni,
      &CpuFeatures::amx_tile,    &CpuFeatures::amx_bf16,    &CpuFeatures::amx_int8,
      &CpuFeatures::neon,        &CpuFeatures::arm_dot};
  for (const auto flag : flags) all.*flag = true;
  for (const Borrowed& borrowed : kBorrowed) {
    const std::optional<Isa> from = parse_isa(borrowed.from);
    ASSERT_TRUE(from) << borrowed.from;
    ASSERT_TRUE(supports(all, borrowed.isa) && supports(all, *from));
    for (const auto missing : flags) {
      CpuFeatures cpu = all;
      cpu.*missing = false;
      EXPECT_TRUE(supports(cpu, *from) || !supports(cpu, borrowed.isa))
          << name_of(borrowed.isa) << " borrows from " << borrowed.from;
    }
  }
}

TEST(ChooseKernels, EverySetIsComplete) {
  for (const KernelSet& set : all_kernel_sets()) {
    SCOPED_TRACE(std::string(name_of(set.isa)) + " " + name_of(set.precision));
    EXPECT_NE(set.linear, nullptr);
    EXPECT_NE(set.linear_fp32, nullptr);
    EXPECT_NE(set.attention, nullptr);
    EXPECT_NE(set.attention_scratch, nullptr);
    EXPECT_NE(set.embed, nullptr);
    EXPECT_NE(set.add_norm, nullptr);
    EXPECT_NE(set.add_norm_fp32, nullptr);
    EXPECT_NE(set.activate, nullptr);
    EXPECT_NE(set.rotate, nullptr);
    EXPECT_NE(set.pool, nullptr);
    EXPECT_NE(set.begin_pass, nullptr);
    EXPECT_NE(set.end_pass, nullptr);
    EXPECT_NE(set.peak, nullptr);
  }
  for (const Int8KernelSet& set : all_int8_kernel_sets()) {
    SCOPED_TRACE(std::string(name_of(set.isa)) + " int8");
    EXPECT_NE(set.linear, nullptr);
    EXPECT_NE(set.quantize, nullptr);
    EXPECT_NE(set.begin_pass, nullptr);
    EXPECT_NE(set.end_pass, nullptr);
    EXPECT_NE(set.peak, nullptr);
  }
}

}  // namespace
}  // namespace tilewise::kernels
