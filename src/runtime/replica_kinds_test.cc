// The forward pass of every kind of encoder that a description can express, beside BERT's.
#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/replica_expectations.h"

namespace tilewise::runtime {
namespace {

using model::NormPlacement;
using model::Positions;

/// ELECTRA: embeddings narrower than the layers.
model::EncoderSpec projected(int embedding_size, int hidden, int heads) {
  model::EncoderSpec spec = spec_of(hidden, heads, 2 * hidden);
  spec.embedding_size = embedding_size;
  return spec;
}

/// MPNet: a bias by distance.
model::EncoderSpec biased(int hidden, int heads) {
  model::EncoderSpec spec = spec_of(hidden, heads, 2 * hidden);
  spec.token_types = 0;
  spec.relative_buckets = 32;
  return spec;
}

/// ModernBERT: norms before, rotary positions, gates, local layers.
model::EncoderSpec modern(int hidden, int heads, int intermediate) {
  model::EncoderSpec spec = spec_of(hidden, heads, intermediate);
  spec.token_types = 0;
  spec.layers = 4;
  spec.norm_epsilon = 1e-5F;
  spec.norm_placement = NormPlacement::pre;
  spec.is_gated = true;
  spec.positions = Positions::rotary;
  spec.rotary_base = 160000;
  spec.rotary_base_local = 10000;
  spec.window = 8;
  spec.global_every = 3;
  return spec;
}

/// A gate multiplies two numbers that both err, and the largest of such products is further from
/// their RMS value, by which int8 rounds them; ModernBERT has twice the layers here; a window
/// leaves fewer errors to average. Each is about the square root of 2.
constexpr double kMoreError = 1.5;

class KindsOnEverySet : public EverySet {
 protected:
  static void expect_parity_of(const model::EncoderSpec& spec) {
    expect_parity(GetParam(), RandomModel::make(spec, 7), kMoreError);
  }
};

TEST_P(KindsOnEverySet, ProjectedEmbeddingsMatchThePlainPass) {
  expect_parity(GetParam(), projected(32, 64, 2));
  expect_parity(GetParam(), projected(20, 60, 5));
  expect_parity(GetParam(), projected(128, 64, 2));
}

TEST_P(KindsOnEverySet, BiasesByDistanceMatchThePlainPass) {
  expect_parity(GetParam(), biased(64, 2));
  expect_parity(GetParam(), biased(60, 5));
  expect_parity(GetParam(), biased(128, 2));
}

TEST_P(KindsOnEverySet, NormsBeforeTheirLayersMatchThePlainPass) {
  model::EncoderSpec spec = spec_of(64, 2, 128);
  spec.norm_placement = NormPlacement::pre;
  expect_parity(GetParam(), spec);
  spec.embedding_size = 32;
  expect_parity(GetParam(), spec);
}

TEST_P(KindsOnEverySet, GatesMatchThePlainPass) {
  for (const int intermediate : {96, 100}) {
    model::EncoderSpec spec = spec_of(64, 2, intermediate);
    spec.is_gated = true;
    expect_parity_of(spec);
    spec.activation = model::Activation::relu;
    expect_parity_of(spec);
  }
}

TEST_P(KindsOnEverySet, RotaryPositionsMatchThePlainPass) {
  model::EncoderSpec spec = spec_of(64, 2, 128);
  spec.positions = Positions::rotary;
  spec.rotary_base = 10000;
  expect_parity(GetParam(), spec);
  spec.heads = 8;
  expect_parity(GetParam(), spec);
}

TEST_P(KindsOnEverySet, LocalLayersMatchThePlainPass) {
  model::EncoderSpec spec = spec_of(64, 2, 128);
  spec.window = 5;
  spec.global_every = 2;
  expect_parity_of(spec);
  spec.relative_buckets = 32;
  expect_parity_of(spec);
}

TEST_P(KindsOnEverySet, ModernBertMatchesThePlainPass) {
  expect_parity_of(modern(64, 2, 96));
  expect_parity_of(modern(60, 5, 100));
  expect_parity_of(modern(128, 2, 160));
}

TEST_P(KindsOnEverySet, HeadsWithGeluAndANormMatchThePlainPass) {
  RandomModel random = RandomModel::make(projected(32, 60, 5), 7);
  random.dense_activation = model::Activation::gelu_erf;
  expect_parity(GetParam(), random);
  random.dense_norm = random.final_norm;
  expect_parity(GetParam(), random);
}

// Design decision 1: bit for bit, whatever else is in the batch.
TEST_P(KindsOnEverySet, ASequenceDoesNotDependOnItsNeighbours) {
  for (const auto& spec : {projected(20, 60, 5), biased(64, 2), modern(60, 5, 100)}) {
    expect_independence(GetParam(), spec, 3);
    if (HasFatalFailure()) return;
  }
}

TEST_P(KindsOnEverySet, TeamsGiveTheBitsOfOneCore) {
  for (const auto& spec : {projected(20, 60, 5), biased(64, 2), modern(64, 2, 100)}) {
    expect_same_bits(GetParam(), spec);
    if (HasFatalFailure()) return;
  }
}

// Gates leave numbers where ffn_down expects padding, and projected embeddings write the padding of
// the hidden state.
TEST_P(KindsOnEverySet, ANanStaysInItsSequence) {
  for (const auto& spec : {projected(20, 60, 5), modern(60, 5, 100)}) {
    RandomModel random = RandomModel::make(spec, 15);
    constexpr int32_t kBroken = 5;  // a token
    random.word[size_t(kBroken) * spec.embedding_width()] = NAN;
    const Opened opened(random, GetParam());
    ASSERT_TRUE(opened.weights);
    Replica replica = replica_of(opened, GetParam());
    Sequences sequences({7, 20, 3}, 4);
    std::replace(sequences.ids.begin(), sequences.ids.end(), kBroken, kBroken + 1);
    const Outputs clean = run(replica, sequences.batch(), spec);
    Sequences broken = sequences;
    broken.ids[10] = kBroken;  // of the second sequence
    const Outputs beside = run(replica, broken.batch(), spec);
    EXPECT_EQ(run(replica, sequences.batch(), spec), clean);
    for (const int s : {0, 2}) {
      for (int i = 0; i < 60; ++i) EXPECT_EQ(beside[0][s * 60 + i], clean[0][s * 60 + i]) << s;
    }
    EXPECT_TRUE(std::isnan(beside[0][60]));
  }
}

/// The answers of "classes" with an exit behind the second layer, whose head is the output layer.
std::vector<float> answers_with_exit(Opened& opened, const KernelChoice& kernels,
                                     const Batch& batch, float confidence) {
  Head& head = *opened.weights->heads[2];
  head.exits = {{.rule = {.after_layer = 2, .confidence = confidence}, .linear = head.output}};
  Replica replica = replica_of(opened, kernels);
  std::vector<float> values(size_t(batch.sequences()) * head.width());
  const TaskOutput outputs[] = {{2, values}};
  replica.run(batch, outputs);
  return values;
}

TEST_P(KindsOnEverySet, ExitsReadTheResidualStreamOfNormsBefore) {
  const RandomModel random = RandomModel::make(modern(64, 2, 96), 7);
  Opened opened(random, GetParam());
  ASSERT_TRUE(opened.weights);
  const Sequences sequences({1, 12, 40}, 3);
  const auto values = answers_with_exit(opened, GetParam(), sequences.batch(), 0.2F);
  for (int s = 0; s < sequences.count(); ++s) {
    const auto mean = random.pooled(random.residual_stream(sequences.slice(sequences.ids, s),
                                                           sequences.slice(sequences.types, s), 2),
                                    Pooling::mean);
    std::vector<double> expected;
    for (int c = 0; c < kRandomClasses; ++c) {
      expected.push_back(random.output.bias[c]);
      for (int i = 0; i < 64; ++i) expected[c] += random.output.weight[c * 64 + i] * mean[i];
    }
    const auto row = values.begin() + s * (kRandomClasses + 1);
    EXPECT_EQ(row[kRandomClasses], 2);
    // int8 rounds weights, too, which this reference has not.
    const double tolerance = 3 * tolerance_of(precision_of(GetParam()));
    EXPECT_LT(relative_rms({row, row + kRandomClasses}, expected), tolerance) << s;
  }
}

TEST_P(KindsOnEverySet, TheStreamClosesUpBehindThoseThatLeave) {
  const RandomModel random = RandomModel::make(modern(64, 2, 96), 7);
  Opened opened(random, GetParam());
  ASSERT_TRUE(opened.weights);
  const Sequences sequences({7, 30, 1, 12, 9, 22, 5, 17, 3, 40, 11, 2}, 6);
  constexpr size_t kWidth = kRandomClasses + 1;
  constexpr float kConfidence = 0.42F;
  const auto together = answers_with_exit(opened, GetParam(), sequences.batch(), kConfidence);
  int left = 0;
  for (int s = 0; s < sequences.count(); ++s) {
    const auto ids = sequences.slice(sequences.ids, s);
    const std::vector<int32_t> offsets = {0, static_cast<int32_t>(ids.size())};
    const auto alone = answers_with_exit(opened, GetParam(), {ids, {}, offsets}, kConfidence);
    ASSERT_EQ(0, std::memcmp(alone.data(), &together[s * kWidth], kWidth * sizeof(float))) << s;
    if (alone.back() == 2) ++left;
  }
  EXPECT_GT(left, 0);
  EXPECT_LT(left, sequences.count());
}

INSTANTIATE_TEST_SUITE_P(Kernels, KindsOnEverySet, testing::ValuesIn(every_choice()),
                         name_of_choice);

TEST(BindKinds, AMissingTensorIsNamed) {
  RandomModel electra = RandomModel::make(projected(32, 64, 2), 1);
  electra.dense_norm = electra.final_norm;
  const RandomModel mpnet = RandomModel::make(biased(64, 2), 1);
  const RandomModel modernbert = RandomModel::make(modern(64, 2, 96), 1);
  const std::pair<const RandomModel*, const char*> missing[] = {
      {&electra, "embeddings.projection.weight"}, {&electra, "heads.classes.dense.norm.gain"},
      {&mpnet, "attention.relative_bias"},        {&modernbert, "rotary.global.cosines"},
      {&modernbert, "rotary.local.sines"},        {&modernbert, "layers.1.attention_norm.gain"},
      {&modernbert, "layers.0.ffn_norm.bias"},    {&modernbert, "final_norm.gain"},
  };
  for (const auto& [random, name] : missing) {
    const std::string path = random->write(Precision::bf16, temporary("missing_kind"), name);
    auto opened = artifact::Artifact::open(path);
    ASSERT_TRUE(opened.ok()) << path << opened.status().message();
    const Status status = bind(**opened).status();
    std::filesystem::remove(path);
    EXPECT_EQ(status.code(), StatusCode::invalid_input);
    EXPECT_NE(status.message().find(name), std::string::npos) << name << status.message();
  }
}

}  // namespace
}  // namespace tilewise::runtime
