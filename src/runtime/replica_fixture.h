// What the tests of the forward pass share: small models of random weights for every set of
// kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/isa.h"
#include "runtime/random_model.h"
#include "runtime/replica.h"

namespace tilewise::runtime {

using model::Pooling;
using model::Precision;

inline constexpr int kTasks = 3;  // of RandomModel: vector, first, classes

inline model::EncoderSpec spec_of(int hidden, int heads, int intermediate) {
  model::EncoderSpec spec;
  spec.family = "bert";
  spec.vocab_size = 97;
  spec.hidden = hidden;
  spec.layers = 2;
  spec.heads = heads;
  spec.intermediate = intermediate;
  spec.max_positions = 512;
  spec.token_types = 2;
  return spec;
}

inline std::string temporary(const std::string& name) {
  return (std::filesystem::temp_directory_path() /
          ("tilewise_runtime_" + std::to_string(::getpid()) + "_" + name))
      .string();
}

/// Of the models that run with these kernels.
inline Precision precision_of(const KernelChoice& kernels) {
  return kernels.int8 != nullptr ? Precision::int8 : kernels.backbone->precision;
}

/// An artifact of a random model, bound and open.
struct Opened {
  Opened(const RandomModel& random, const KernelChoice& kernels) {
    const Precision precision = precision_of(kernels);
    const std::string path = random.write(precision, temporary(model::name_of(precision)));
    auto opened = artifact::Artifact::open(path);
    std::filesystem::remove(path);
    EXPECT_TRUE(opened.ok()) << path << opened.status().message();
    if (!opened.ok()) return;
    artifact = *opened;
    auto bound = bind(*artifact);
    EXPECT_TRUE(bound.ok()) << bound.status().message();
    if (bound.ok()) weights = *std::move(bound);
  }
  std::shared_ptr<const artifact::Artifact> artifact;
  std::optional<Weights> weights;
};

/// Sequences of random tokens, packed.
struct Sequences {
  std::vector<int32_t> ids, types, offsets = {0};

  Sequences(const std::vector<int>& lengths, uint32_t seed) {
    std::mt19937 random(seed);
    for (const int length : lengths) {
      for (int i = 0; i < length; ++i) {
        ids.push_back(static_cast<int32_t>(random() % 97));
        types.push_back(i * 2 > length ? 1 : 0);
      }
      offsets.push_back(static_cast<int32_t>(ids.size()));
    }
  }
  Batch batch() const { return {ids, types, offsets}; }
  int32_t count() const { return static_cast<int32_t>(offsets.size()) - 1; }
  std::vector<int32_t> slice(const std::vector<int32_t>& all, int s) const {
    return {all.begin() + offsets[s], all.begin() + offsets[s + 1]};
  }
};

using Outputs = std::vector<std::vector<float>>;

inline Outputs run(Replica& replica, const Batch& batch, const model::EncoderSpec& spec) {
  Outputs outputs(kTasks);
  std::vector<TaskOutput> targets;
  for (int t = 0; t < kTasks; ++t) {
    outputs[t].assign(size_t(batch.sequences()) * (t == 2 ? kRandomClasses : spec.hidden), NAN);
    targets.push_back({t, outputs[t]});
  }
  replica.run(batch, targets);
  return outputs;
}

inline constexpr Pooling kPoolings[] = {Pooling::mean, Pooling::cls, Pooling::mean};

/// Of a team of so many members.
inline Replica replica_of(const Opened& opened, const KernelChoice& kernels, int32_t cores = 1) {
  auto team = Team::create(cores);
  EXPECT_TRUE(team.ok()) << team.status().message();
  auto replica = Replica::create(*opened.weights, kernels, kPoolings, *std::move(team));
  EXPECT_TRUE(replica.ok()) << replica.status().message();
  return *std::move(replica);
}

class EverySet : public testing::TestWithParam<KernelChoice> {
 protected:
  void SetUp() override {
    const CpuFeatures& cpu = cpu_features();
    const bool runs = supports(cpu, GetParam().backbone->isa) &&
                      (GetParam().int8 == nullptr || supports(cpu, GetParam().int8->isa));
    if (!runs) GTEST_SKIP() << "this CPU has no " << GetParam().isa();
  }
};

/// Every set of the build; those for int8 with the best bf16 set that is not above them.
inline std::vector<KernelChoice> every_choice() {
  std::vector<KernelChoice> choices;
  for (const kernels::KernelSet& set : kernels::all_kernel_sets()) choices.push_back({&set});
  for (const kernels::Int8KernelSet& int8 : kernels::all_int8_kernel_sets()) {
    for (const kernels::KernelSet& set : kernels::all_kernel_sets()) {
      if (set.precision != Precision::bf16 || set.isa > int8.isa) continue;
      choices.push_back({&set, &int8});
      break;
    }
  }
  return choices;
}

inline std::string name_of_choice(const testing::TestParamInfo<KernelChoice>& info) {
  std::string name = info.param.isa() + "_" + model::name_of(precision_of(info.param));
  std::replace(name.begin(), name.end(), '+', '_');
  return name;
}

}  // namespace tilewise::runtime
