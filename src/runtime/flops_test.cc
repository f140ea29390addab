#include "runtime/flops.h"

#include <array>

#include <gtest/gtest.h>

namespace tilewise::runtime {
namespace {

model::EncoderSpec minilm() {
  model::EncoderSpec spec;
  spec.hidden = 384;
  spec.layers = 6;
  spec.heads = 12;
  spec.intermediate = 1536;
  return spec;
}

TEST(Flops, OneTokenOfMiniLmIsItsPublishedCount) {
  // 6 layers x (4 x 384^2 + 2 x 384 x 1536) = 10,616,832 weights: 21.2 MFLOP a token in the linear
  // layers.
  const std::array<int32_t, 2> one = {0, 1};
  EXPECT_DOUBLE_EQ(backbone_flops(minilm(), one), 2.0 * 10616832 + 6 * 4 * 384);
}

TEST(Flops, AttentionGrowsWithTheSquareOfEachSequenceAlone) {
  const std::array<int32_t, 2> whole = {0, 100};
  const std::array<int32_t, 3> halves = {0, 50, 100};
  const double difference = backbone_flops(minilm(), whole) - backbone_flops(minilm(), halves);
  EXPECT_DOUBLE_EQ(difference, 6 * 4 * 384.0 * (100 * 100 - 2 * 50 * 50));
}

TEST(Flops, HeadsCountTheirDenseLayer) {
  EXPECT_DOUBLE_EQ(head_flops(minilm(), 3, 150, false), 2.0 * 3 * 384 * 150);
  EXPECT_DOUBLE_EQ(head_flops(minilm(), 3, 150, true), 2.0 * 3 * 384 * (150 + 384));
}

}  // namespace
}  // namespace tilewise::runtime
