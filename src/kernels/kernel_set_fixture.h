// The frame of the tests that run once for every line of kernels.inc.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "base/isa.h"
#include "kernels/kernel_set.h"

namespace tilewise::kernels {

inline std::string test_name(const KernelSet& set) {
  return std::string(name_of(set.precision)) + "_" + name_of(set.isa);
}

/// Skips sets that this CPU cannot run, by name; the test runs inside a pass.
class KernelSetTest : public testing::TestWithParam<const KernelSet*> {
 protected:
  void SetUp() override {
    if (!supports(cpu_features(), set().isa)) {
      GTEST_SKIP() << "this CPU does not run the instruction set " << name_of(set().isa);
    }
    set().begin_pass();
    in_pass_ = true;
  }
  void TearDown() override {
    if (in_pass_) set().end_pass();
  }
  static const KernelSet& set() { return *GetParam(); }
  static bool is_bf16() { return set().precision == model::Precision::bf16; }

 private:
  bool in_pass_ = false;
};

inline std::vector<const KernelSet*> pointers_to_all_sets() {
  std::vector<const KernelSet*> pointers;
  for (const KernelSet& set : all_kernel_sets()) pointers.push_back(&set);
  return pointers;
}

/// Instantiates the tests of a fixture derived from KernelSetTest.
#define TILEWISE_FOR_ALL_KERNEL_SETS(Fixture)                                        \
  INSTANTIATE_TEST_SUITE_P(Sets, Fixture, testing::ValuesIn(pointers_to_all_sets()), \
                           [](const auto& tested) { return test_name(*tested.param); })

/// Half a unit in the last place of fp32 and of bf16, relative.
inline constexpr double kFp32Rounding = 0x1p-24;
inline constexpr double kBf16Rounding = 0x1p-8;

}  // namespace tilewise::kernels
