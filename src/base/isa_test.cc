#include "base/isa.h"

#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace tilewise {
namespace {

CpuFeatures with_avx2() {
  CpuFeatures cpu;
  cpu.avx2 = cpu.fma = cpu.f16c = cpu.bmi2 = cpu.aes = true;
  return cpu;
}

CpuFeatures skylake_x() {
  CpuFeatures cpu = with_avx2();
  cpu.avx512f = cpu.avx512bw = cpu.avx512cd = cpu.avx512dq = cpu.avx512vl = true;
  return cpu;
}

CpuFeatures ice_lake() {
  CpuFeatures cpu = skylake_x();
  cpu.avx512_vnni = true;
  return cpu;
}

CpuFeatures zen4() {
  CpuFeatures cpu = ice_lake();
  cpu.avx512_bf16 = true;
  return cpu;
}

CpuFeatures zen5() {
  CpuFeatures cpu = zen4();
  cpu.avx_vnni = true;
  return cpu;
}

CpuFeatures sapphire_rapids_without_amx_permission() {
  CpuFeatures cpu = zen5();
  cpu.avx512_fp16 = true;
  return cpu;
}

CpuFeatures sapphire_rapids() {
  CpuFeatures cpu = sapphire_rapids_without_amx_permission();
  cpu.amx_tile = cpu.amx_bf16 = cpu.amx_int8 = true;
  return cpu;
}

CpuFeatures knights_landing() {
  CpuFeatures cpu = with_avx2();
  cpu.avx512f = cpu.avx512cd = true;  // no BW, DQ, VL
  return cpu;
}

CpuFeatures alder_lake() {
  CpuFeatures cpu = with_avx2();
  cpu.avx_vnni = true;
  return cpu;
}

CpuFeatures graviton3() {
  CpuFeatures cpu;
  cpu.neon = cpu.aes = cpu.arm_dot = cpu.arm_bf16 = true;
  return cpu;
}

CpuFeatures graviton2() {
  CpuFeatures cpu = graviton3();
  cpu.arm_bf16 = false;
  return cpu;
}

CpuFeatures amx_without_avx512() {  // a virtual machine with a strange choice of flags
  CpuFeatures cpu = with_avx2();
  cpu.amx_tile = cpu.amx_bf16 = true;
  return cpu;
}

struct Machine {
  const char* name;
  CpuFeatures cpu;
  std::vector<Isa> isas;
};
void PrintTo(const Machine& machine, std::ostream* out) { *out << machine.name; }

class SupportedIsas : public testing::TestWithParam<Machine> {};

TEST_P(SupportedIsas, AreThoseOfTheMachine) {
  EXPECT_EQ(supported_isas(GetParam().cpu), GetParam().isas);
  for (const Isa isa : GetParam().isas) EXPECT_TRUE(supports(GetParam().cpu, isa));
}

constexpr Isa kPortable = Isa::portable, kAvx2 = Isa::avx2, kAvxVnni = Isa::avx_vnni,
              kAvx512 = Isa::avx512, kVnni = Isa::avx512_vnni, kBf16 = Isa::avx512_bf16;

// What the vendors' documents say of each core.
INSTANTIATE_TEST_SUITE_P(
    Machines, SupportedIsas,
    testing::Values(Machine{"SandyBridge", CpuFeatures(), {kPortable}},
                    Machine{"Haswell", with_avx2(), {kPortable, kAvx2}},
                    Machine{"KnightsLanding", knights_landing(), {kPortable, kAvx2}},
                    Machine{"SkylakeX", skylake_x(), {kPortable, kAvx2, kAvx512}},
                    Machine{"CascadeLake", ice_lake(), {kPortable, kAvx2, kAvx512, kVnni}},
                    Machine{"IceLake", ice_lake(), {kPortable, kAvx2, kAvx512, kVnni}},
                    Machine{"CooperLake", zen4(), {kPortable, kAvx2, kAvx512, kVnni, kBf16}},
                    Machine{"AlderLake", alder_lake(), {kPortable, kAvx2, kAvxVnni}},
                    Machine{"SapphireRapids",
                            sapphire_rapids(),
                            {kPortable, kAvx2, kAvxVnni, kAvx512, kVnni, kBf16, Isa::amx}},
                    Machine{"GraniteRapids",
                            sapphire_rapids(),
                            {kPortable, kAvx2, kAvxVnni, kAvx512, kVnni, kBf16, Isa::amx}},
                    Machine{"SapphireRapidsWithoutAmxPermission",
                            sapphire_rapids_without_amx_permission(),
                            {kPortable, kAvx2, kAvxVnni, kAvx512, kVnni, kBf16}},
                    Machine{"AmxWithoutAvx512", amx_without_avx512(), {kPortable, kAvx2}},
                    Machine{"Zen2", with_avx2(), {kPortable, kAvx2}},
                    Machine{"Zen3", with_avx2(), {kPortable, kAvx2}},
                    Machine{"Zen4", zen4(), {kPortable, kAvx2, kAvx512, kVnni, kBf16}},
                    Machine{"Zen5", zen5(), {kPortable, kAvx2, kAvxVnni, kAvx512, kVnni, kBf16}},
                    Machine{"Graviton2", graviton2(), {kPortable, Isa::neon, Isa::neon_dot}},
                    Machine{"Graviton3", graviton3(), {kPortable, Isa::neon, Isa::neon_dot}}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(Supports, NeedsEveryFlagOfALevel) {
  const auto supports_without = [](Isa isa, bool CpuFeatures::* flag) {
    CpuFeatures cpu = sapphire_rapids();
    cpu.*flag = false;
    return supports(cpu, isa);
  };
  for (const auto flag :
       {&CpuFeatures::avx2, &CpuFeatures::fma, &CpuFeatures::f16c, &CpuFeatures::bmi2}) {
    EXPECT_FALSE(supports_without(Isa::avx2, flag));
    EXPECT_FALSE(supports_without(Isa::amx, flag));
  }
  for (const auto flag : {&CpuFeatures::avx512f, &CpuFeatures::avx512bw, &CpuFeatures::avx512cd,
                          &CpuFeatures::avx512dq, &CpuFeatures::avx512vl}) {
    EXPECT_TRUE(supports_without(Isa::avx2, flag));
    EXPECT_FALSE(supports_without(Isa::avx512, flag));
    EXPECT_FALSE(supports_without(Isa::avx512_bf16, flag));
  }
  EXPECT_FALSE(supports_without(Isa::avx512_bf16, &CpuFeatures::avx512_bf16));
  EXPECT_FALSE(supports_without(Isa::amx, &CpuFeatures::amx_tile));
  EXPECT_FALSE(supports_without(Isa::amx, &CpuFeatures::amx_bf16));
  EXPECT_FALSE(supports_without(Isa::amx, &CpuFeatures::amx_int8));
  EXPECT_FALSE(supports_without(Isa::amx, &CpuFeatures::avx512_vnni));
  EXPECT_FALSE(supports_without(Isa::amx, &CpuFeatures::avx512_bf16));
  EXPECT_FALSE(supports_without(Isa::avx_vnni, &CpuFeatures::avx_vnni));
  EXPECT_FALSE(supports_without(Isa::avx512_vnni, &CpuFeatures::avx512_vnni));
}

TEST(IsaNames, ReadBack) {
  for (const Isa isa : {Isa::portable, Isa::neon, Isa::neon_dot, Isa::avx2, Isa::avx_vnni,
                        Isa::avx512, Isa::avx512_vnni, Isa::avx512_bf16, Isa::amx}) {
    EXPECT_EQ(parse_isa(name_of(isa)), isa);
  }
  EXPECT_STREQ(name_of(Isa::avx512_bf16), "avx512_bf16");
  for (const char* wrong : {"", "AVX2", "avx", "avx512 ", "sse"})
    EXPECT_EQ(parse_isa(wrong), std::nullopt) << wrong;
}

// The kernel's own list of the flags of this machine; empty where it has none.
std::set<std::string> kernel_flags() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    return {std::istream_iterator<std::string>(words), {}};
  }
  return {};
}

TEST(CpuFeatures, AgreeWithTheKernel) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "/proc/cpuinfo names features so only on x86";
#endif
  const std::set<std::string> flags = kernel_flags();
  if (flags.empty()) GTEST_SKIP() << "/proc/cpuinfo lists no flags here";
  const CpuFeatures& cpu = cpu_features();
  EXPECT_EQ(cpu.avx2, flags.contains("avx2"));
  EXPECT_EQ(cpu.fma, flags.contains("fma"));
  EXPECT_EQ(cpu.f16c, flags.contains("f16c"));
  EXPECT_EQ(cpu.bmi2, flags.contains("bmi2"));
  EXPECT_EQ(cpu.aes, flags.contains("aes"));
  EXPECT_EQ(cpu.avx512f, flags.contains("avx512f"));
  EXPECT_EQ(cpu.avx512bw, flags.contains("avx512bw"));
  EXPECT_EQ(cpu.avx512cd, flags.contains("avx512cd"));
  EXPECT_EQ(cpu.avx512dq, flags.contains("avx512dq"));
  EXPECT_EQ(cpu.avx512vl, flags.contains("avx512vl"));
  EXPECT_EQ(cpu.avx512_bf16, flags.contains("avx512_bf16"));
  EXPECT_EQ(cpu.avx512_vnni, flags.contains("avx512_vnni"));
  EXPECT_EQ(cpu.avx512_fp16, flags.contains("avx512_fp16"));
  EXPECT_EQ(cpu.avx_vnni, flags.contains("avx_vnni"));
  // The permission may be refused on top of what the list says.
  EXPECT_LE(cpu.amx_tile, flags.contains("amx_tile"));
  EXPECT_LE(cpu.amx_bf16, flags.contains("amx_bf16"));
  EXPECT_LE(cpu.amx_int8, flags.contains("amx_int8"));
}

// Only Intel's are slow, and all of those with AMX are.
TEST(CpuFeatures, SlowAvx512Bf16IsIntels) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "vdpbf16ps is an x86 instruction";
#endif
  std::ifstream file("/proc/cpuinfo");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const auto contains = [&](const char* word) { return text.find(word) != std::string::npos; };
  if (!contains("vendor_id")) GTEST_SKIP() << "/proc/cpuinfo names no vendor here";
  if (cpu_features().slow_avx512_bf16) {
    EXPECT_TRUE(contains("GenuineIntel"));
  } else if (cpu_features().amx_tile) {
    EXPECT_FALSE(contains("GenuineIntel"));
  }
}

TEST(CpuFeatures, AreReadOnce) { EXPECT_EQ(&cpu_features(), &cpu_features()); }

TEST(IsaNames, EndLikeASentence) {
  const std::string names = isa_names();
  EXPECT_EQ(names.rfind("portable, ", 0), 0U) << names;
  EXPECT_NE(names.find(" or amx"), std::string::npos) << names;
}

}  // namespace
}  // namespace tilewise
