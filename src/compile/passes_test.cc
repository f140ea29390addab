#include "compile/passes.h"

#include <cmath>
#include <numbers>
#include <utility>

#include <gmock/gmock.h>

#include "compile/synthetic_model.h"
#include "kernels/pack.h"

namespace tilewise::compile {
namespace {

using model::LinearWeights;
using model::Tensor;

Draft draft_of(model::Model model) {
  Draft draft;
  draft.metadata.spec = model.spec;
  draft.metadata.precision = model::Precision::bf16;
  draft.model = std::move(model);
  return draft;
}

double at(const Tensor& tensor, int64_t row, int64_t column) {
  return tensor.values[static_cast<size_t>(row * tensor.shape[1] + column)];
}

/// W + scale * B A, element by element.
std::vector<float> merged(const Tensor& weight, const model::LoraUpdate& update) {
  std::vector<float> result;
  for (int64_t o = 0; o < weight.shape[0]; ++o) {
    for (int64_t i = 0; i < weight.shape[1]; ++i) {
      double sum = 0;
      for (int64_t r = 0; r < update.a.shape[0]; ++r)
        sum += at(update.b, o, r) * at(update.a, r, i);
      result.push_back(static_cast<float>(at(weight, o, i) + double{update.scale} * sum));
    }
  }
  return result;
}

TEST(MergeAdapterTest, IsThePlainLoopAndTouchesNothingElse) {
  model::Model model = synthetic_model();
  add_adapter(model);
  const auto layers = model.weights.layers;
  const auto adapter = model.adapter;
  Draft draft = draft_of(std::move(model));
  const auto detail = merge_adapter(draft);
  ASSERT_TRUE(detail.ok());
  EXPECT_EQ(*detail, "3 updates of rank 3 merged");
  EXPECT_TRUE(draft.model.adapter.empty());
  const auto& found = draft.model.weights.layers;
  // The same products and sums in the same order: equal to the last bit.
  EXPECT_EQ(found[0].query.weight.values, merged(layers[0].query.weight, adapter[0]));
  EXPECT_EQ(found[1].ffn_up.weight.values, merged(layers[1].ffn_up.weight, adapter[1]));
  EXPECT_EQ(found[1].ffn_down.weight.values, merged(layers[1].ffn_down.weight, adapter[2]));
  EXPECT_NE(found[0].query.weight.values, layers[0].query.weight.values);
  EXPECT_EQ(found[0].query.bias.values, layers[0].query.bias.values);
  EXPECT_EQ(found[1].query.weight.values, layers[1].query.weight.values);
  EXPECT_EQ(found[0].key.weight.values, layers[0].key.weight.values);
  EXPECT_EQ(found[0].ffn_up.weight.values, layers[0].ffn_up.weight.values);
  ASSERT_EQ(draft.metadata.numerics.size(), 1U);
  EXPECT_EQ(draft.metadata.numerics[0].operators, "adapter");
}

TEST(MergeAdapterTest, EveryRoleIsReached) {
  using model::LinearRole;
  for (const auto role : {LinearRole::query, LinearRole::key, LinearRole::value,
                          LinearRole::attention_output, LinearRole::ffn_up, LinearRole::ffn_down}) {
    model::Model model = synthetic_model();
    const auto& layer = model.weights.layers[1];
    const LinearWeights* all[] = {&layer.query,  &layer.key,
                                  &layer.value,  &layer.attention_output,
                                  &layer.ffn_up, &layer.ffn_down};
    const auto shape = all[static_cast<size_t>(role)]->weight.shape;
    Numbers numbers;
    model.adapter.push_back({.layer = 1,
                             .role = role,
                             .scale = 1,
                             .a = numbers.tensor({2, shape[1]}),
                             .b = numbers.tensor({shape[0], 2})});
    const auto expected = merged(all[static_cast<size_t>(role)]->weight, model.adapter[0]);
    Draft draft = draft_of(std::move(model));
    ASSERT_TRUE(merge_adapter(draft).ok());
    const auto& merged_layer = draft.model.weights.layers[1];
    const LinearWeights* found[] = {&merged_layer.query,  &merged_layer.key,
                                    &merged_layer.value,  &merged_layer.attention_output,
                                    &merged_layer.ffn_up, &merged_layer.ffn_down};
    EXPECT_EQ(found[static_cast<size_t>(role)]->weight.values, expected);
  }
}

TEST(FoldScalesTest, BaseTwoScoresAreTheSoftmaxOfTheScaledOnes) {
  Draft draft = draft_of(synthetic_model());
  const model::LayerWeights before = draft.model.weights.layers[1];
  ASSERT_TRUE(fold_scales(draft).ok());
  const model::LayerWeights& after = draft.model.weights.layers[1];
  // exp2(factor x) = exp(x / sqrt(head_dim)); head_dim is 8. One rounding to fp32: 2^-24 relative.
  for (const auto& [from, to] : {std::pair{&before.query.weight, &after.query.weight},
                                 std::pair{&before.query.bias, &after.query.bias}}) {
    for (size_t i = 0; i < from->values.size(); ++i) {
      const double exact = from->values[i] / (std::sqrt(8.0) * std::log(2.0));
      EXPECT_NEAR(to->values[i], exact, std::abs(exact) * std::ldexp(1.0, -24));
    }
  }
  EXPECT_EQ(before.key.weight.values, after.key.weight.values);
  EXPECT_EQ(before.key.bias.values, after.key.bias.values);
  EXPECT_EQ(before.value.weight.values, after.value.weight.values);
}

TEST(FuseQkvTest, SectionsStartAtWholePanels) {
  Draft draft = draft_of(synthetic_model());
  const model::LayerWeights before = draft.model.weights.layers[1];
  ASSERT_TRUE(fuse_qkv(draft).ok());
  ASSERT_EQ(draft.qkv.size(), 2U);
  const LinearWeights& qkv = draft.qkv[1];
  ASSERT_EQ(qkv.weight.shape, (std::vector<int64_t>{192, 40}));
  ASSERT_EQ(qkv.bias.shape, (std::vector<int64_t>{192}));
  const LinearWeights* parts[] = {&before.query, &before.key, &before.value};
  for (int64_t row = 0; row < 192; ++row) {
    const LinearWeights& part = *parts[row / 64];
    const bool is_padding = row % 64 >= 40;
    for (int64_t column = 0; column < 40; ++column) {
      EXPECT_EQ(at(qkv.weight, row, column), is_padding ? 0 : at(part.weight, row % 64, column));
    }
    EXPECT_EQ(qkv.bias.values[static_cast<size_t>(row)],
              is_padding ? 0 : part.bias.values[static_cast<size_t>(row % 64)]);
  }
  const LinearWeights& output = draft.model.weights.layers[1].attention_output;
  ASSERT_EQ(output.weight.shape, (std::vector<int64_t>{40, 64}));
  for (int64_t row = 0; row < 40; ++row) {
    for (int64_t column = 0; column < 64; ++column) {
      EXPECT_EQ(at(output.weight, row, column),
                column < 40 ? at(before.attention_output.weight, row, column) : 0);
    }
  }
  EXPECT_EQ(output.bias.values, before.attention_output.bias.values);
  EXPECT_TRUE(draft.model.weights.layers[1].query.weight.values.empty());
}

TEST(FuseQkvTest, WidthsOfWholePanelsNeedNoPadding) {
  model::Model model = synthetic_model();
  Numbers numbers;
  model.spec.hidden = 64;
  model.spec.heads = 4;
  model.weights.layers = {synthetic_layer(numbers, model.spec)};
  const auto output = model.weights.layers[0].attention_output.weight;
  Draft draft = draft_of(std::move(model));
  ASSERT_TRUE(fuse_qkv(draft).ok());
  EXPECT_EQ(draft.qkv[0].weight.shape, (std::vector<int64_t>{192, 64}));
  EXPECT_EQ(draft.model.weights.layers[0].attention_output.weight.values, output.values);
}

TEST(CastTest, RoundsWhatThePrecisionStoresAndNothingElse) {
  Draft draft = draft_of(synthetic_model());
  const auto word = draft.model.weights.word_embeddings.values;
  const auto position = draft.model.weights.position_embeddings.values;
  const auto head = draft.model.tasks[0].head.value().output.weight.values;
  ASSERT_TRUE(fuse_qkv(draft).ok());
  const auto qkv = draft.qkv[0];
  ASSERT_TRUE(cast_weights(draft).ok());
  for (size_t i = 0; i < word.size(); ++i) {
    const float found = draft.model.weights.word_embeddings.values[i];
    EXPECT_EQ(std::bit_cast<uint32_t>(found) & 0xffffU, 0U);
    EXPECT_LE(std::abs(found - word[i]), std::abs(word[i]) * 0x1p-8f);  // half a unit of 8 bits
  }
  EXPECT_NE(draft.qkv[0].weight.values, qkv.weight.values);
  EXPECT_EQ(draft.qkv[0].bias.values, qkv.bias.values);
  EXPECT_EQ(draft.model.weights.position_embeddings.values, position);
  EXPECT_EQ(draft.model.tasks[0].head.value().output.weight.values, head);
}

TEST(CastTest, Fp32KeepsEverything) {
  Draft draft = draft_of(synthetic_model());
  draft.metadata.precision = model::Precision::fp32;
  const auto word = draft.model.weights.word_embeddings.values;
  ASSERT_TRUE(cast_weights(draft).ok());
  EXPECT_EQ(draft.model.weights.word_embeddings.values, word);
  ASSERT_FALSE(draft.metadata.numerics.empty());
  for (const auto& line : draft.metadata.numerics) EXPECT_EQ(line.stored_as, "fp32");
}

/// A head's biases in the buckets' order, so that a value says which bucket it came from.
Draft draft_with_biases(int32_t max_positions) {
  Draft draft;
  model::EncoderSpec& spec = draft.model.spec;
  spec.heads = 2;
  spec.max_positions = max_positions;
  spec.relative_buckets = 32;
  model::Tensor& biases = draft.model.weights.relative_bias;
  biases.shape = {32, 2};
  for (int i = 0; i < 64; ++i) biases.values.push_back(static_cast<float>(i));
  return draft;
}

// The distances at which transformers 5.23 begins another bucket (relative_position_bucket of MPNet
// with 32 buckets, in fp32), from -600 to 600.
TEST(TabulatePositionsTest, BucketsAreThoseOfTransformers) {
  constexpr std::pair<int, int> kBegins[] = {
      {-600, 15}, {-90, 14}, {-63, 13}, {-45, 12}, {-31, 11}, {-22, 10}, {-15, 9}, {-11, 8},
      {-7, 7},    {-6, 6},   {-5, 5},   {-4, 4},   {-3, 3},   {-2, 2},   {-1, 1},  {0, 0},
      {1, 17},    {2, 18},   {3, 19},   {4, 20},   {5, 21},   {6, 22},   {7, 23},  {8, 24},
      {12, 25},   {16, 26},  {23, 27},  {32, 28},  {46, 29},  {64, 30},  {91, 31}};
  Draft draft = draft_with_biases(590);
  ASSERT_TRUE(tabulate_positions(draft).ok());
  constexpr int kSpan = 608;
  EXPECT_EQ(draft.relative_bias.shape, (std::vector<int64_t>{2, 2 * kSpan}));
  EXPECT_TRUE(draft.model.weights.relative_bias.values.empty());
  int bucket = 15;
  for (int distance = -kSpan; distance < kSpan; ++distance) {
    for (const auto& [begin, its_bucket] : kBegins) {
      if (begin == distance) bucket = its_bucket;
    }
    for (int head = 0; head < 2; ++head) {
      const double bias = 2 * bucket + head;
      EXPECT_EQ(at(draft.relative_bias, head, kSpan + distance),
                static_cast<float>(bias * std::numbers::log2e))
          << distance;
    }
  }
}

// Heads of 12 at theta 160000 and 10000: cosines and sines of transformers 5.23 at position 159,
// whose own fp32 functions are good to 2^-23.
TEST(TabulatePositionsTest, AnglesAreThoseOfTransformers) {
  constexpr double kGlobal[2][6] = {{-0.34249478578567505, -0.9165105819702148, -0.9774459004402161,
                                     0.9220317006111145, 0.9985451102256775, 0.9999731779098511},
                                    {0.9395197629928589, 0.4000104069709778, 0.21118585765361786,
                                     0.3871144652366638, 0.0539228692650795, 0.007321949116885662}};
  constexpr double kLocal[2][6] = {{-0.34249478578567505, -0.9547403454780579, 0.4563209116458893,
                                    -0.01920240744948387, 0.9418995380401611, 0.9972779154777527},
                                   {0.9395197629928589, 0.2974405586719513, 0.8898152709007263,
                                    0.9998156428337097, 0.33589479327201843, 0.07373429834842682}};
  Draft draft;
  model::EncoderSpec& spec = draft.model.spec;
  spec.hidden = 36;
  spec.heads = 3;
  spec.max_positions = 160;
  spec.positions = model::Positions::rotary;
  spec.rotary_base = 160000;
  spec.rotary_base_local = 10000;
  spec.window = 8;
  spec.global_every = 3;
  ASSERT_TRUE(tabulate_positions(draft).ok());
  EXPECT_EQ(draft.rotary_global.cosines.shape, (std::vector<int64_t>{160, 6}));
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(at(draft.rotary_global.cosines, 0, i), 1);
    EXPECT_EQ(at(draft.rotary_local.sines, 0, i), 0);
    EXPECT_NEAR(at(draft.rotary_global.cosines, 159, i), kGlobal[0][i], 0x1p-23);
    EXPECT_NEAR(at(draft.rotary_global.sines, 159, i), kGlobal[1][i], 0x1p-23);
    EXPECT_NEAR(at(draft.rotary_local.cosines, 159, i), kLocal[0][i], 0x1p-23);
    EXPECT_NEAR(at(draft.rotary_local.sines, 159, i), kLocal[1][i], 0x1p-23);
  }
}

}  // namespace
}  // namespace tilewise::compile
