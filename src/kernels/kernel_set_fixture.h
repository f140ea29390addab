// The frame of the tests that run once for every line of kernels.inc.
#pragma once

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/isa.h"
#include "kernels/kernel_set.h"

namespace tilewise::kernels {

inline std::string test_name(const KernelSet& set) {
  return std::string(name_of(set.precision)) + "_" + name_of(set.isa);
}

/// Skips sets that this CPU cannot run, by name; the test runs inside a pass. `Set`: KernelSet or
/// Int8KernelSet.
template <class Set>
class SetTest : public testing::TestWithParam<const Set*> {
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
  static const Set& set() { return *SetTest::GetParam(); }

 private:
  bool in_pass_ = false;
};

class KernelSetTest : public SetTest<KernelSet> {
 protected:
  static bool is_bf16() { return set().precision == model::Precision::bf16; }
};

inline std::vector<const KernelSet*> all_sets() {
  std::vector<const KernelSet*> sets;
  for (const KernelSet& set : all_kernel_sets()) sets.push_back(&set);
  return sets;
}

inline std::vector<const KernelSet*> sets_of(model::Precision precision) {
  std::vector<const KernelSet*> sets = all_sets();
  std::erase_if(sets, [&](const KernelSet* set) { return set->precision != precision; });
  return sets;
}

/// Instantiates the tests of a fixture derived from KernelSetTest.
#define TILEWISE_FOR_KERNEL_SETS(Fixture, sets)                    \
  INSTANTIATE_TEST_SUITE_P(Sets, Fixture, testing::ValuesIn(sets), \
                           [](const auto& tested) { return test_name(*tested.param); })
#define TILEWISE_FOR_ALL_KERNEL_SETS(Fixture) TILEWISE_FOR_KERNEL_SETS(Fixture, all_sets())

/// Another seed in every run, or that of the environment: TILEWISE_SEED=N repeats what failed with
/// seed N.
inline unsigned random_seed() {
  const char* chosen = std::getenv("TILEWISE_SEED");
  return chosen != nullptr ? static_cast<unsigned>(std::strtoul(chosen, nullptr, 10))
                           : std::random_device()();
}

/// Half a unit in the last place of fp32 and of bf16, relative.
inline constexpr double kFp32Rounding = 0x1p-24;
inline constexpr double kBf16Rounding = 0x1p-8;

}  // namespace tilewise::kernels
