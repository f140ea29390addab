#include "artifact/schema.h"

#include <algorithm>

#include <gmock/gmock.h>

#include "artifact/golden.h"

namespace tilewise::artifact {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> names_of(const std::vector<TensorSpec>& specs, const std::string& prefix) {
  std::vector<std::string> names;
  for (const TensorSpec& spec : specs) {
    if (spec.name.starts_with(prefix)) names.push_back(spec.name);
  }
  return names;
}

const TensorSpec& find(const std::vector<TensorSpec>& specs, const std::string& name) {
  return *std::ranges::find(specs, name, &TensorSpec::name);
}

// Hidden 4, so sections of 32 columns; intermediate 8.
TEST(SchemaTest, Int8LayersHaveTheTensorsOfTheFormat) {
  const auto specs = tensor_specs(golden_int8_metadata());
  EXPECT_EQ(find(specs, "embeddings.word").type, DataType::bf16);
  EXPECT_THAT(
      names_of(specs, "layers."),
      ElementsAre("layers.0.qkv.weight", "layers.0.qkv.scale", "layers.0.qkv.sums",
                  "layers.0.qkv.smooth", "layers.0.qkv.bias", "layers.0.attention_output.weight",
                  "layers.0.attention_output.bias", "layers.0.attention_norm.gain",
                  "layers.0.attention_norm.bias", "layers.0.ffn_up.weight", "layers.0.ffn_up.scale",
                  "layers.0.ffn_up.sums", "layers.0.ffn_up.bias", "layers.0.ffn_down.weight",
                  "layers.0.ffn_down.scale", "layers.0.ffn_down.sums", "layers.0.ffn_down.bias",
                  "layers.0.ffn_norm.gain", "layers.0.ffn_norm.bias"));
  const auto expect = [&](const char* name, DataType type, Layout layout,
                          const std::vector<int64_t>& shape) {
    const TensorSpec& spec = find(specs, name);
    EXPECT_EQ(spec.type, type) << name;
    EXPECT_EQ(spec.layout, layout) << name;
    EXPECT_EQ(spec.shape, shape) << name;
  };
  expect("layers.0.qkv.weight", DataType::s8, Layout::panels, {96, 4});
  expect("layers.0.qkv.scale", DataType::f32, Layout::rows, {96});
  expect("layers.0.qkv.sums", DataType::s32, Layout::rows, {96});
  expect("layers.0.qkv.smooth", DataType::f32, Layout::rows, {64});
  expect("layers.0.qkv.bias", DataType::f32, Layout::rows, {96});
  expect("layers.0.attention_output.weight", DataType::bf16, Layout::panels, {4, 32});
  expect("layers.0.attention_output.bias", DataType::f32, Layout::rows, {32});
  expect("layers.0.ffn_down.weight", DataType::s8, Layout::panels, {4, 8});
}

TEST(SchemaTest, ExitsFollowTheirTasksOutput) {
  const auto specs = tensor_specs(golden_exits_metadata());
  EXPECT_THAT(names_of(specs, "heads.duplicate."),
              ElementsAre("heads.duplicate.dense.weight", "heads.duplicate.dense.bias",
                          "heads.duplicate.dense.norm.gain", "heads.duplicate.dense.norm.bias",
                          "heads.duplicate.output.weight", "heads.duplicate.output.bias",
                          "heads.duplicate.exit2.weight", "heads.duplicate.exit2.bias"));
  EXPECT_THAT(names_of(specs, "heads.intent."),
              ElementsAre("heads.intent.output.weight", "heads.intent.output.bias",
                          "heads.intent.exit1.weight", "heads.intent.exit1.bias",
                          "heads.intent.exit2.weight", "heads.intent.exit2.bias"));
  const TensorSpec& weight = find(specs, "heads.intent.exit1.weight");
  EXPECT_EQ(weight.type, DataType::f32);
  EXPECT_EQ(weight.layout, Layout::panels);
  EXPECT_EQ(weight.shape, (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(find(specs, "heads.intent.exit2.bias").shape, (std::vector<int64_t>{32}));
}

// Hidden 4 in 2 heads, embeddings of 6, 16 positions: the table of distances spans 32.
TEST(SchemaTest, EncodersOfVersion3HaveTheTensorsOfTheFormat) {
  const auto specs = tensor_specs(golden_exits_metadata());
  EXPECT_THAT(names_of(specs, "embeddings."),
              ElementsAre("embeddings.word", "embeddings.type", "embeddings.norm.gain",
                          "embeddings.norm.bias", "embeddings.projection.weight",
                          "embeddings.projection.bias"));
  EXPECT_THAT(names_of(specs, "rotary."),
              ElementsAre("rotary.global.cosines", "rotary.global.sines", "rotary.local.cosines",
                          "rotary.local.sines"));
  EXPECT_THAT(names_of(specs, "layers.0.attention_norm"), ElementsAre());
  EXPECT_THAT(names_of(specs, "layers.1.attention_norm"),
              ElementsAre("layers.1.attention_norm.gain", "layers.1.attention_norm.bias"));
  EXPECT_THAT(names_of(specs, "final_norm"), ElementsAre("final_norm.gain", "final_norm.bias"));
  const auto expect = [&](const char* name, DataType type, Layout layout,
                          const std::vector<int64_t>& shape) {
    const TensorSpec& spec = find(specs, name);
    EXPECT_EQ(spec.type, type) << name;
    EXPECT_EQ(spec.layout, layout) << name;
    EXPECT_EQ(spec.shape, shape) << name;
  };
  expect("embeddings.word", DataType::bf16, Layout::rows, {3, 6});
  expect("embeddings.type", DataType::f32, Layout::rows, {2, 6});
  expect("embeddings.norm.gain", DataType::f32, Layout::rows, {6});
  expect("embeddings.projection.weight", DataType::bf16, Layout::panels, {4, 6});
  expect("embeddings.projection.bias", DataType::f32, Layout::rows, {32});
  expect("attention.relative_bias", DataType::f32, Layout::rows, {2, 64});
  expect("rotary.local.sines", DataType::f32, Layout::rows, {16, 1});
  expect("layers.2.ffn_up.weight", DataType::bf16, Layout::panels, {16, 4});
  expect("layers.2.ffn_down.weight", DataType::bf16, Layout::panels, {4, 8});
  expect("heads.duplicate.dense.norm.gain", DataType::f32, Layout::rows, {4});
}

TEST(SchemaTest, LinearLayersInTheOrderOfTheFile) {
  Metadata metadata = golden_int8_metadata();
  metadata.spec.layers = 2;
  std::vector<std::string> weights;
  for (const LinearLayer& layer : linear_layers(metadata.spec)) {
    weights.push_back(layer.name + ".weight");
    metadata.linears.push_back({.layer = layer.name});
  }
  metadata.linears.erase(metadata.linears.begin(), metadata.linears.begin() + 4);
  ASSERT_TRUE(validate(metadata).ok()) << validate(metadata).message();
  std::vector<std::string> stored = names_of(tensor_specs(metadata), "layers.");
  std::erase_if(stored, [](const std::string& name) { return !name.ends_with(".weight"); });
  EXPECT_EQ(stored, weights);
}

}  // namespace
}  // namespace tilewise::artifact
