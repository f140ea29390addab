#include "compile/passes.h"

#include <cmath>

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

}  // namespace
}  // namespace tilewise::compile
