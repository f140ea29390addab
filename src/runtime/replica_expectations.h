// What every kind of encoder must keep on every set of kernels: parity with the plain forward pass,
// and the same bits in any company and on any number of cores.
#pragma once

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "runtime/replica_fixture.h"

namespace tilewise::runtime {

inline double relative_rms(const std::vector<float>& values, const std::vector<double>& reference) {
  double error = 0;
  double size = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    error += (values[i] - reference[i]) * (values[i] - reference[i]);
    size += reference[i] * reference[i];
  }
  return std::sqrt(error / size);
}

// fp32: a few hundred roundings of 6e-8 each in a row; bf16: activations are rounded (2^-9) about a
// dozen times a layer, and the errors of different columns are independent, so that under 2 % in
// root mean square remains after two layers. int8: the inputs of a linear layer are rounded to
// 1/254 of a row's largest value, about 1/90 of its RMS value, or twice that where it is smoothed;
// that is an error of 1/90/sqrt(12) = 0.3 to 0.6 % a layer besides those of bf16, eight times in
// two layers.
inline double tolerance_of(Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return 5e-6;
    case Precision::bf16:
      return 2e-2;
    case Precision::int8:
      return 3e-2;
  }
  return 0;
}

/// Outputs equal those of the plain forward pass, but for `times` the tolerance.
inline void expect_parity(const KernelChoice& kernels, const RandomModel& made, double times = 1) {
  const model::EncoderSpec& spec = made.spec;
  const bool is_int8 = kernels.int8 != nullptr;
  const RandomModel random = is_int8 ? made.rounded_to_int8() : made;
  const Opened opened(random, kernels);
  ASSERT_TRUE(opened.weights);
  Replica replica = replica_of(opened, kernels);
  const Sequences sequences({1, 2, 12, 33, 5, 64, 16, 17}, 3);
  const Outputs outputs = run(replica, sequences.batch(), spec);
  const double tolerance = times * tolerance_of(precision_of(kernels));
  for (int s = 0; s < sequences.count(); ++s) {
    const auto hidden = random.hidden_states(sequences.slice(sequences.ids, s),
                                             sequences.slice(sequences.types, s));
    const auto mean = random.pooled(hidden, Pooling::mean);
    const auto row = [&](int task, size_t width) {
      return std::vector<float>(outputs[task].begin() + s * width,
                                outputs[task].begin() + (s + 1) * width);
    };
    EXPECT_LT(relative_rms(row(0, spec.hidden), mean), tolerance) << "mean, sequence " << s;
    EXPECT_LT(relative_rms(row(1, spec.hidden), random.pooled(hidden, Pooling::cls)), tolerance)
        << "cls, " << s;
    EXPECT_LT(relative_rms(row(2, kRandomClasses), random.classes(mean)), 3 * tolerance)
        << "classes, " << s;
  }
}

inline void expect_parity(const KernelChoice& kernels, const model::EncoderSpec& spec) {
  expect_parity(kernels, RandomModel::make(spec, 7));
}

/// A sequence's outputs are the same bits alone and among others.
inline void expect_independence(const KernelChoice& kernels, const model::EncoderSpec& spec,
                                int rounds) {
  const RandomModel random = RandomModel::make(spec, 11);
  const Opened opened(random, kernels);
  ASSERT_TRUE(opened.weights);
  Replica replica = replica_of(opened, kernels);
  std::mt19937 mix(5);
  for (int round = 0; round < rounds; ++round) {
    std::vector<int> lengths;
    for (int i = 0; i < 24; ++i) {
      const int longest = round % 3 == 0 ? 16 : round % 3 == 1 ? 128 : 512;
      lengths.push_back(1 + static_cast<int>(mix() % longest));
    }
    const Sequences sequences(lengths, 100 + round);
    const Outputs together = run(replica, sequences.batch(), spec);
    for (int s = 0; s < sequences.count(); ++s) {
      const auto ids = sequences.slice(sequences.ids, s);
      const auto types = sequences.slice(sequences.types, s);
      const std::vector<int32_t> offsets = {0, static_cast<int32_t>(ids.size())};
      const Outputs alone = run(replica, {ids, types, offsets}, spec);
      for (int t = 0; t < kTasks; ++t) {
        const size_t width = alone[t].size();
        ASSERT_EQ(0, std::memcmp(alone[t].data(), &together[t][s * width], width * sizeof(float)))
            << "task " << t << ", round " << round << ", sequence " << s << " of " << ids.size()
            << " tokens";
      }
    }
  }
}

/// Mixes of lengths, from one token to more than a block holds.
inline std::vector<Sequences> random_batches() {
  std::mt19937 random(21);
  std::vector<Sequences> batches;
  batches.emplace_back(std::vector<int>{1}, 1);
  batches.emplace_back(std::vector<int>{8}, 2);
  batches.emplace_back(std::vector<int>{128}, 3);
  batches.emplace_back(std::vector<int>{512}, 4);
  for (int round = 0; round < 4; ++round) {
    std::vector<int> lengths;
    for (uint32_t n = 2 + random() % 30; n > 0; --n) {
      const uint32_t longest = round == 0 ? 16 : round == 1 ? 128 : 60;
      lengths.push_back(1 + static_cast<int>(random() % longest));
    }
    batches.emplace_back(lengths, 100 + round);
  }
  return batches;
}

/// Teams give the bits of one core.
inline void expect_same_bits(const KernelChoice& kernels, const model::EncoderSpec& spec) {
  const RandomModel random = RandomModel::make(spec, 31);
  const Opened opened(random, kernels);
  ASSERT_TRUE(opened.weights);
  Replica alone = replica_of(opened, kernels);
  const std::vector<Sequences> batches = random_batches();
  std::vector<Outputs> expected;
  for (const Sequences& batch : batches) expected.push_back(run(alone, batch.batch(), spec));
  for (const int32_t cores : {2, 3, 5}) {
    Replica team = replica_of(opened, kernels, cores);
    for (size_t i = 0; i < batches.size(); ++i) {
      const Outputs outputs = run(team, batches[i].batch(), spec);
      for (int t = 0; t < kTasks; ++t) {
        ASSERT_EQ(0, std::memcmp(outputs[t].data(), expected[i][t].data(),
                                 outputs[t].size() * sizeof(float)))
            << cores << " cores, batch " << i << ", task " << t;
      }
    }
  }
}

}  // namespace tilewise::runtime
