#include "runtime/kernel_choice.h"

#include <gtest/gtest.h>

namespace tilewise::runtime {
namespace {

using model::Precision;

CpuFeatures bare_cpu() {
  CpuFeatures cpu;
  cpu.neon = true;
  return cpu;
}

TEST(KernelChoice, AnInt8ModelGetsBothSetsAndOthersOne) {
  const auto int8 = choose_kernels(bare_cpu(), Precision::int8);
  ASSERT_TRUE(int8.ok()) << int8.status().message();
  EXPECT_EQ(int8->backbone->precision, Precision::bf16);
  ASSERT_NE(int8->int8, nullptr);
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    const auto choice = choose_kernels(bare_cpu(), precision);
    ASSERT_TRUE(choice.ok()) << choice.status().message();
    EXPECT_EQ(choice->backbone->precision, precision);
    EXPECT_EQ(choice->int8, nullptr);
  }
}

TEST(KernelChoice, IsCalledByEveryLevelThatRuns) {
  const kernels::KernelSet amx{.isa = Isa::amx}, bf16{.isa = Isa::avx512_bf16};
  const kernels::Int8KernelSet amx_int8{.isa = Isa::amx}, vnni{.isa = Isa::avx512_vnni};
  EXPECT_EQ((KernelChoice{&amx}.isa()), "amx");
  EXPECT_EQ((KernelChoice{&amx, &amx_int8}.isa()), "amx");
  EXPECT_EQ((KernelChoice{&bf16, &vnni}.isa()), "avx512_bf16+avx512_vnni");
}

TEST(KernelChoice, AForcedLevelBindsBothSets) {
  for (const Isa isa : supported_isas(cpu_features())) {
    const auto choice = choose_kernels(cpu_features(), Precision::int8, isa);
    if (!choice.ok()) continue;  // fewer levels have kernels than there are
    EXPECT_LE(choice->backbone->isa, isa);
    EXPECT_LE(choice->int8->isa, isa);
  }
  const Status absent = choose_kernels(bare_cpu(), Precision::int8, Isa::amx).status();
  EXPECT_EQ(absent.code(), StatusCode::unavailable_machine);
}

}  // namespace
}  // namespace tilewise::runtime
