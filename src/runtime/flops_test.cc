#include "runtime/flops.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace tilewise::runtime {
namespace {

using model::Precision;

artifact::Metadata minilm(Precision precision = Precision::bf16) {
  artifact::Metadata metadata;
  metadata.precision = precision;
  metadata.spec.hidden = 384;
  metadata.spec.layers = 6;
  metadata.spec.heads = 12;
  metadata.spec.intermediate = 1536;
  if (precision != Precision::int8) return metadata;
  for (int layer = 0; layer < 6; ++layer) {
    for (const char* part : {"qkv", "attention_output", "ffn_up", "ffn_down"}) {
      metadata.linears.push_back({.layer = "layers." + std::to_string(layer) + "." + part});
    }
  }
  return metadata;
}

constexpr double kLinear = 2.0 * 10616832;    // of a token, see below
constexpr double kAttention = 6 * 4 * 384.0;  // of a token with itself
constexpr std::array<int32_t, 2> kOneToken = {0, 1};

TEST(Flops, OneTokenOfMiniLmIsItsPublishedCount) {
  // 6 layers x (4 x 384^2 + 2 x 384 x 1536) = 10,616,832 weights: 21.2 MFLOP a token in the linear
  // layers.
  const Flops bf16 = backbone_flops(minilm(), kOneToken);
  EXPECT_DOUBLE_EQ(bf16.bf16, kLinear + kAttention);
  EXPECT_EQ(bf16.fp32 + bf16.int8, 0);
  const Flops fp32 = backbone_flops(minilm(Precision::fp32), kOneToken);
  EXPECT_DOUBLE_EQ(fp32.fp32, kLinear + kAttention);
  EXPECT_EQ(fp32.bf16 + fp32.int8, 0);
}

TEST(Flops, EachLayerOfAnInt8ModelCountsInItsOwnPrecision) {
  artifact::Metadata metadata = minilm(Precision::int8);
  Flops flops = backbone_flops(metadata, kOneToken);
  EXPECT_DOUBLE_EQ(flops.int8, kLinear);
  EXPECT_DOUBLE_EQ(flops.bf16, kAttention);
  metadata.linears[3].precision = Precision::bf16;   // layers.0.ffn_down
  metadata.linears[4].precision = Precision::bf16;   // layers.1.qkv
  metadata.linears[21].precision = Precision::bf16;  // layers.5.attention_output
  flops = backbone_flops(metadata, kOneToken);
  const double moved = 2.0 * (384 * 1536 + 3 * 384 * 384 + 384 * 384);
  EXPECT_DOUBLE_EQ(flops.int8, kLinear - moved);
  EXPECT_DOUBLE_EQ(flops.bf16, kAttention + moved);
  EXPECT_EQ(flops.fp32, 0);
}

TEST(Flops, AttentionGrowsWithTheSquareOfEachSequenceAlone) {
  const std::array<int32_t, 2> whole = {0, 100};
  const std::array<int32_t, 3> halves = {0, 50, 100};
  const double difference =
      backbone_flops(minilm(), whole).bf16 - backbone_flops(minilm(), halves).bf16;
  EXPECT_DOUBLE_EQ(difference, kAttention * (100 * 100 - 2 * 50 * 50));
}

TEST(Flops, OnlyLayersThatRanCount) {
  const std::array<int32_t, 4> offsets = {0, 10, 13, 20};
  const std::array<float, 3> depths = {6, 2, 2.5f};
  // All six, a third of them and 5 twelfths; attention with 10, 3 and 7 tokens.
  const double linear = kLinear * (10 + 3 / 3.0 + 7 * 5 / 12.0);
  const double attention = kAttention * (100 + 9 / 3.0 + 49 * 5 / 12.0);
  const Flops bf16 = backbone_flops(minilm(), offsets, depths);
  EXPECT_NEAR(bf16.bf16 / (linear + attention), 1, 1e-12);

  artifact::Metadata metadata = minilm(Precision::int8);
  metadata.linears[3].precision = Precision::bf16;   // layers.0.ffn_down: always
  metadata.linears[11].precision = Precision::bf16;  // layers.2.ffn_down: not, and half
  const Flops int8 = backbone_flops(metadata, offsets, depths);
  const double moved = 2.0 * 384 * 1536 * (20 + 10 + 7 / 2.0);
  EXPECT_NEAR(int8.int8 / (linear - moved), 1, 1e-12);
  EXPECT_NEAR(int8.bf16 / (attention + moved), 1, 1e-12);
}

TEST(Flops, TheInnerLayerOfAGateIsTwiceAsWide) {
  artifact::Metadata metadata = minilm();
  metadata.spec.is_gated = true;
  EXPECT_DOUBLE_EQ(backbone_flops(metadata, kOneToken).bf16,
                   kLinear + kAttention + 6 * 2.0 * 384 * 1536);
}

TEST(Flops, ALocalLayerCountsThePairsInItsWindow) {
  artifact::Metadata metadata = minilm();
  const std::array<int32_t, 3> offsets = {0, 100, 105};
  const double global = backbone_flops(metadata, offsets).bf16;
  metadata.spec.window = 8;
  metadata.spec.global_every = 3;  // layers 0 and 3 of 6
  int pairs = 0;
  for (int i = 0; i < 100; ++i) {
    for (int j = 0; j < 100; ++j) pairs += i - j <= 8 && j - i <= 8 ? 1 : 0;
  }
  EXPECT_DOUBLE_EQ(global - backbone_flops(metadata, offsets).bf16,
                   4 * 4 * 384.0 * (100 * 100 - pairs));
}

TEST(Flops, AProjectionOfTheEmbeddingsIsALinearLayer) {
  artifact::Metadata metadata = minilm(Precision::int8);
  metadata.spec.embedding_size = 128;
  EXPECT_DOUBLE_EQ(backbone_flops(metadata, kOneToken).bf16, kAttention + 2.0 * 384 * 128);
}

TEST(Flops, HeadsCountTheirDenseLayer) {
  EXPECT_DOUBLE_EQ(head_flops(minilm().spec, 3, 150, false), 2.0 * 3 * 384 * 150);
  EXPECT_DOUBLE_EQ(head_flops(minilm().spec, 3, 150, true), 2.0 * 3 * 384 * (150 + 384));
}

}  // namespace
}  // namespace tilewise::runtime
