#include "runtime/replica.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "base/aligned_buffer.h"
#include "kernels/pack.h"
#include "runtime/replica_expectations.h"

namespace tilewise::runtime {
namespace {

TEST_P(EverySet, MatchesThePlainForwardPass) { expect_parity(GetParam(), spec_of(64, 2, 128)); }

TEST_P(EverySet, MatchesItForWidthsThatFillNoPanel) {
  expect_parity(GetParam(), spec_of(60, 5, 100));
}

TEST_P(EverySet, MatchesItForHeadsOf64) { expect_parity(GetParam(), spec_of(128, 2, 256)); }

TEST_P(EverySet, MatchesItForOtherActivations) {
  for (const auto activation : {model::Activation::gelu_tanh, model::Activation::relu}) {
    model::EncoderSpec spec = spec_of(64, 2, 128);
    spec.activation = activation;
    expect_parity(GetParam(), spec);
  }
}

TEST_P(EverySet, MatchesItWithoutTokenTypes) {
  model::EncoderSpec spec = spec_of(64, 2, 128);
  spec.token_types = 0;
  expect_parity(GetParam(), spec);
}

// Design decision 1: bit for bit, whatever else is in the batch.
TEST_P(EverySet, ASequenceDoesNotDependOnItsNeighbours) {
  expect_independence(GetParam(), spec_of(64, 2, 128), 6);
}

// Also behind the columns of a width that fills no panel: padding is multiplied by zero, and NaN
// times zero is no zero.
TEST_P(EverySet, ANanStaysInItsSequence) {
  const model::EncoderSpec spec = spec_of(60, 5, 100);
  RandomModel random = RandomModel::make(spec, 15);
  constexpr int32_t kBroken = 5;  // a token
  random.word[kBroken * 60] = NAN;
  const Opened opened(random, GetParam());
  ASSERT_TRUE(opened.weights);
  Replica replica = replica_of(opened, GetParam());
  Sequences sequences({7, 20, 3}, 4);
  std::replace(sequences.ids.begin(), sequences.ids.end(), kBroken, kBroken + 1);
  const Outputs clean = run(replica, sequences.batch(), spec);
  Sequences broken = sequences;
  broken.ids[10] = kBroken;  // of the second sequence
  const Outputs beside = run(replica, broken.batch(), spec);
  const Outputs after = run(replica, sequences.batch(), spec);
  EXPECT_EQ(after, clean);
  for (const int s : {0, 2}) {
    for (int i = 0; i < 60; ++i) EXPECT_EQ(beside[0][s * 60 + i], clean[0][s * 60 + i]) << s;
  }
  EXPECT_TRUE(std::isnan(beside[0][60]));
}

TEST_P(EverySet, EveryLengthRunsAloneAndAmongOthers) {
  const model::EncoderSpec spec = spec_of(32, 1, 64);
  const RandomModel random = RandomModel::make(spec, 12);
  const Opened opened(random, GetParam());
  ASSERT_TRUE(opened.weights);
  Replica replica = replica_of(opened, GetParam());
  std::vector<int> lengths(512);
  for (int i = 0; i < 512; ++i) lengths[i] = i + 1;
  std::shuffle(lengths.begin(), lengths.end(), std::mt19937(1));
  const Sequences sequences(lengths, 9);
  const Outputs together = run(replica, sequences.batch(), spec);
  for (int s = 0; s < sequences.count(); ++s) {
    const auto ids = sequences.slice(sequences.ids, s);
    const auto types = sequences.slice(sequences.types, s);
    const Outputs alone =
        run(replica, {ids, types, std::vector<int32_t>{0, int32_t(ids.size())}}, spec);
    ASSERT_EQ(0, std::memcmp(alone[0].data(), &together[0][s * size_t(32)], 32 * sizeof(float)))
        << ids.size() << " tokens";
  }
}

// Calibration reads the inputs of every linear layer: all of them, once a block, with their values.
TEST_P(EverySet, AnObserverSeesTheInputsOfEveryLinearLayer) {
  const model::EncoderSpec spec = spec_of(60, 5, 100);
  const RandomModel random = RandomModel::make(spec, 13);
  const Opened opened(random, GetParam());
  ASSERT_TRUE(opened.weights);
  Replica replica = replica_of(opened, GetParam());
  const Sequences sequences({7, 12}, 4);
  std::vector<std::string> seen;
  std::vector<double> sums(19);  // of the last input of ffn_up, which layer normalisation made
  replica.observe_linears([&](const LinearInput& input) {
    seen.push_back(std::to_string(input.layer) + "." + input.part + ":" +
                   std::to_string(input.columns));
    ASSERT_EQ(input.count, 19);
    ASSERT_EQ(input.is_fp32, GetParam().backbone->precision == Precision::fp32);
    if (std::string(input.part) != "ffn_up" || input.layer != 1) return;
    for (int r = 0; r < input.count; ++r) {
      const auto* row = static_cast<const std::byte*>(input.rows) + r * input.stride;
      for (int i = 0; i < input.columns; ++i) {
        const float value = input.is_fp32
                                ? reinterpret_cast<const float*>(row)[i]
                                : kernels::from_bf16(reinterpret_cast<const uint16_t*>(row)[i]);
        const auto& norm = random.layers[1].attention_norm;
        sums[r] += (value - norm.bias[i]) / norm.gain[i];
      }
    }
  });
  const Outputs watched = run(replica, sequences.batch(), spec);
  const std::vector<std::string> expected = {
      "0.qkv:60", "0.attention_output:60", "0.ffn_up:60", "0.ffn_down:100",
      "1.qkv:60", "1.attention_output:60", "1.ffn_up:60", "1.ffn_down:100"};
  EXPECT_EQ(seen, expected);
  // Normalised values sum to 0; 60 roundings of at most 2^-9 of values up to 4, over a gain > 0.5.
  for (const double sum : sums) EXPECT_LT(std::abs(sum), 60 * 4.0 / 512 / 0.5);
  seen.clear();
  replica.observe_linears({});
  EXPECT_EQ(run(replica, sequences.batch(), spec), watched);
  EXPECT_TRUE(seen.empty());
}

// An artifact's bytes are nobody's promise. Numbers that fit no model may give any result, but
// touch nothing else: the next pass over honest weights is what it was. Sanitizers see the rest.
TEST_P(EverySet, LyingInt8TensorsHarmNoOtherPass) {
  if (GetParam().int8 == nullptr) GTEST_SKIP() << "no layer is int8";
  const model::EncoderSpec spec = spec_of(64, 2, 100);
  const RandomModel random = RandomModel::make(spec, 14);
  Opened opened(random, GetParam());
  ASSERT_TRUE(opened.weights);
  Replica replica = replica_of(opened, GetParam());
  const Sequences sequences({7, 40, 1}, 4);
  const Outputs honest = run(replica, sequences.batch(), spec);

  constexpr size_t kElements = 512;  // more than a layer of this model has outputs or inputs
  const auto all = [](auto value) {
    auto buffer = AlignedBuffer::allocate(kElements * sizeof value);
    EXPECT_TRUE(buffer.ok());
    for (size_t i = 0; i < kElements; ++i) {
      std::memcpy(buffer->data() + i * sizeof value, &value, sizeof value);
    }
    return *std::move(buffer);
  };
  auto weights = AlignedBuffer::allocate(kElements * kElements);
  ASSERT_TRUE(weights.ok());
  std::memset(weights->data(), 0x80, weights->size());  // -128, in the padding too

  const std::vector<Layer> layers = opened.weights->layers;
  for (const int32_t sum : {INT32_MIN, INT32_MAX}) {
    for (const float factor : {NAN, -1.0F, 0.0F, INFINITY, 3e38F, 1e-45F}) {
      const AlignedBuffer sums = all(sum), factors = all(factor);
      for (Layer& layer : opened.weights->layers) {
        for (Linear* linear :
             {&layer.qkv, &layer.attention_output, &layer.ffn_up, &layer.ffn_down}) {
          if (!linear->int8) continue;
          linear->weights = weights->data();
          linear->int8->scales = reinterpret_cast<const float*>(factors.data());
          linear->int8->column_sums = reinterpret_cast<const int32_t*>(sums.data());
          linear->int8->smooth = reinterpret_cast<const float*>(factors.data());
          if (!linear->int8->is_symmetric) linear->int8->floor = sum < 0 ? -3e38F : 3e38F;
        }
      }
      run(replica, sequences.batch(), spec);
      opened.weights->layers = layers;
      ASSERT_EQ(run(replica, sequences.batch(), spec), honest) << sum << ", " << factor;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, EverySet, testing::ValuesIn(every_choice()), name_of_choice);

TEST(Bind, AMissingTensorIsNamed) {
  const RandomModel random = RandomModel::make(spec_of(64, 2, 128), 1);
  const std::pair<Precision, const char*> missing[] = {
      {Precision::bf16, "layers.1.ffn_up.weight"},  {Precision::int8, "layers.1.ffn_up.weight"},
      {Precision::int8, "layers.1.ffn_down.sums"},  {Precision::int8, "layers.0.qkv.smooth"},
      {Precision::int8, "layers.1.ffn_down.scale"}, {Precision::int8, "layers.0.ffn_up.bias"},
  };
  for (const auto& [precision, name] : missing) {
    const std::string path = random.write(precision, temporary("missing"), name);
    auto opened = artifact::Artifact::open(path);
    ASSERT_TRUE(opened.ok()) << path << opened.status().message();
    const Status status = bind(**opened).status();
    std::filesystem::remove(path);
    EXPECT_EQ(status.code(), StatusCode::invalid_input);
    EXPECT_NE(status.message().find(name), std::string::npos) << status.message();
  }
}

TEST(Bind, EachLayerOfAnInt8ModelHasItsOwnPrecision) {
  const RandomModel random = RandomModel::make(spec_of(60, 5, 100), 1);
  const std::string path = random.write(Precision::int8, temporary("int8"));
  auto opened = artifact::Artifact::open(path);
  std::filesystem::remove(path);
  ASSERT_TRUE(opened.ok()) << path << opened.status().message();
  const auto weights = bind(**opened);
  ASSERT_TRUE(weights.ok()) << weights.status().message();
  EXPECT_EQ(weights->activations, Precision::bf16);
  const Layer& first = weights->layers[0];
  EXPECT_FALSE(first.attention_output.int8);  // stays bf16
  ASSERT_TRUE(first.qkv.int8 && first.ffn_up.int8 && first.ffn_down.int8);
  EXPECT_NE(first.qkv.int8->smooth, nullptr);
  EXPECT_EQ(first.ffn_up.int8->smooth, nullptr);
  EXPECT_TRUE(first.ffn_up.int8->is_symmetric);
  EXPECT_FALSE(first.ffn_down.int8->is_symmetric);
  EXPECT_EQ(first.ffn_down.int8->floor, -0.171F);
  EXPECT_EQ(first.ffn_down.columns, 100);
  EXPECT_EQ(first.ffn_down.k, 128);
  EXPECT_EQ(first.ffn_down.n, 64);
}

TEST(CheckBatch, SaysWhatIsWrong) {
  const model::EncoderSpec spec = spec_of(64, 2, 128);
  const std::vector<int32_t> ids = {1, 2, 3}, types = {0, 0, 1}, offsets = {0, 3};
  EXPECT_TRUE(check_batch(spec, {ids, types, offsets}).ok());
  const auto code = [&](std::vector<int32_t> i, std::vector<int32_t> t, std::vector<int32_t> o) {
    return check_batch(spec, {i, t, o}).code();
  };
  EXPECT_EQ(code({1, 2, 97}, types, offsets), StatusCode::invalid_argument);
  EXPECT_EQ(code({1, -1, 3}, types, offsets), StatusCode::invalid_argument);
  EXPECT_EQ(code(ids, {0, 0, 2}, offsets), StatusCode::invalid_argument);
  EXPECT_EQ(code(ids, {}, offsets), StatusCode::invalid_argument);
  EXPECT_EQ(code(ids, types, {0, 2}), StatusCode::invalid_argument);
  EXPECT_EQ(code(ids, types, {0, 0, 3}), StatusCode::invalid_argument);
  EXPECT_EQ(code(ids, types, {}), StatusCode::invalid_argument);
  const std::vector<int32_t> many(513, 1);
  EXPECT_EQ(code(many, std::vector<int32_t>(513, 0), {0, 513}), StatusCode::invalid_argument);
}

}  // namespace
}  // namespace tilewise::runtime
