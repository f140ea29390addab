// A replica of several cores: the same bits as one core alone gives. The machine may have fewer
// cores than the team has members.
#include <cstring>

#include <gtest/gtest.h>

#include "base/aligned_buffer.h"
#include "runtime/replica_expectations.h"

namespace tilewise::runtime {
namespace {

class TeamOfEverySet : public EverySet {};

TEST_P(TeamOfEverySet, GivesTheBitsOfOneCore) { expect_same_bits(GetParam(), spec_of(64, 2, 128)); }

TEST_P(TeamOfEverySet, GivesThemForWidthsThatFillNoPanel) {
  expect_same_bits(GetParam(), spec_of(60, 5, 100));
}

TEST_P(TeamOfEverySet, GivesThemForManyHeadsOf32) {
  expect_same_bits(GetParam(), spec_of(192, 6, 384));
}

TEST_P(TeamOfEverySet, GivesThemWhereTheActivationIsAStepOfItsOwn) {
  model::EncoderSpec spec = spec_of(64, 2, 128);
  spec.activation = model::Activation::relu;
  expect_same_bits(GetParam(), spec);
}

// What sharing out by rows rests on: the rows behind its own belong to another member.
TEST_P(TeamOfEverySet, LinearLayersWriteNoRowBeyondTheirs) {
  const RandomModel random = RandomModel::make(spec_of(64, 2, 128), 33);
  const Opened opened(random, GetParam());
  ASSERT_TRUE(opened.weights);
  const Linear& layer = opened.weights->layers[1].ffn_up;
  constexpr int kMostRows = 70, kStride = 1024;
  const auto allocate = [](size_t rows) {
    auto buffer = AlignedBuffer::allocate((rows + kernels::kRowSlack) * kStride);
    EXPECT_TRUE(buffer.ok());
    return *std::move(buffer);
  };
  const AlignedBuffer input = allocate(kMostRows), output = allocate(kMostRows);
  const std::vector<float> scales(kMostRows + kernels::kRowSlack, 1.0F);
  for (int rows = 1; rows <= kMostRows; ++rows) {
    std::memset(output.data(), 0x5a, output.size());
    if (GetParam().int8 != nullptr) {
      GetParam().int8->begin_pass();
      GetParam().int8->linear({.input = reinterpret_cast<const uint8_t*>(input.data()),
                               .input_stride = kStride,
                               .input_scales = scales.data(),
                               .weights = layer.weights,
                               .weight_scales = layer.int8->scales,
                               .column_sums = layer.int8->column_sums,
                               .bias = layer.bias,
                               .output = output.data(),
                               .output_stride = kStride,
                               .rows = rows,
                               .k = layer.k,
                               .n = layer.n});
      GetParam().int8->end_pass();
    } else {
      GetParam().backbone->begin_pass();
      GetParam().backbone->linear({.input = input.data(),
                                   .input_stride = kStride,
                                   .weights = layer.weights,
                                   .bias = layer.bias,
                                   .output = output.data(),
                                   .output_stride = kStride,
                                   .rows = rows,
                                   .k = layer.k,
                                   .n = layer.n});
      GetParam().backbone->end_pass();
    }
    EXPECT_NE(output.data()[(rows - 1) * kStride], std::byte{0x5a}) << rows;
    for (size_t i = size_t(rows) * kStride; i < output.size(); ++i) {
      ASSERT_EQ(output.data()[i], std::byte{0x5a}) << rows << " rows";
    }
  }
}

TEST_P(TeamOfEverySet, ShowsAnObserverCompleteInputs) {
  const model::EncoderSpec spec = spec_of(64, 2, 128);
  const RandomModel random = RandomModel::make(spec, 32);
  const Opened opened(random, GetParam());
  ASSERT_TRUE(opened.weights);
  const Sequences sequences({40, 3, 17}, 5);
  std::vector<std::vector<std::byte>> seen[2];
  for (const int32_t cores : {1, 3}) {
    Replica replica = replica_of(opened, GetParam(), cores);
    replica.observe_linears([&](const LinearInput& input) {
      const size_t width = size_t(input.columns) * (input.is_fp32 ? 4 : 2);
      std::vector<std::byte> rows;
      for (int r = 0; r < input.count; ++r) {
        const auto* row = static_cast<const std::byte*>(input.rows) + r * input.stride;
        rows.insert(rows.end(), row, row + width);
      }
      seen[cores == 1 ? 0 : 1].push_back(std::move(rows));
    });
    run(replica, sequences.batch(), spec);
  }
  EXPECT_EQ(seen[0].size(), 8U);
  EXPECT_TRUE(seen[0] == seen[1]);
}

INSTANTIATE_TEST_SUITE_P(Kernels, TeamOfEverySet, testing::ValuesIn(every_choice()),
                         name_of_choice);

}  // namespace
}  // namespace tilewise::runtime
