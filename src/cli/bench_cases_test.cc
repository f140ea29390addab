#include "cli/bench_cases.h"

#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/isa.h"

namespace tilewise::cli {
namespace {

using model::Precision;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Small, with sizes that the compiler pads.
model::EncoderSpec small() {
  return {.family = "bert",
          .vocab_size = 100,
          .hidden = 60,
          .layers = 2,
          .heads = 3,
          .intermediate = 100,
          .max_positions = 64,
          .token_types = 2};
}

void expect_right(const CaseGroup& group) {
  const std::vector<KernelCase> cases = group.make();
  EXPECT_EQ(cases.size(), group.infos.size());
  for (const KernelCase& one : cases) {
    const Status status = check(one);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_GT(one.info.rows, 0);
    EXPECT_TRUE((one.info.flops > 0) != (one.info.bytes > 0)) << one.info.name();
  }
}

// Every line of kernels.inc passes its check on all that an encoder runs.
TEST(BenchCases, EveryKernelOfThisProcessorIsRight) {
  const EncoderShape shape = {.name = "small",
                              .spec = small(),
                              .plain_parts = {"qkv", "attention_output", "ffn_up", "ffn_down"}};
  for (const kernels::KernelSet& set : kernels::all_kernel_sets()) {
    if (!supports(cpu_features(), set.isa)) continue;  // kernels_test reports what is skipped
    for (const CaseGroup& group : kernel_cases(shape, set, nullptr)) expect_right(group);
  }
  for (const kernels::Int8KernelSet& set : kernels::all_int8_kernel_sets()) {
    if (!supports(cpu_features(), set.isa)) continue;
    for (const std::string& part : shape.plain_parts) {
      expect_right(int8_linear_cases(part, shape.spec, set));
    }
    expect_right(quantize_cases(shape.spec, set));
  }
}

const kernels::KernelSet& bf16_set() {
  return **kernels::choose_kernels(cpu_features(), Precision::bf16);
}
const kernels::Int8KernelSet& int8_set() { return **kernels::choose_int8_kernels(cpu_features()); }

/// Adds one unit in the fifth place of bf16 to the value at a row and column.
void damage(void* output, int64_t stride, int32_t row, int32_t column) {
  auto* value = reinterpret_cast<uint16_t*>(static_cast<char*>(output) + row * stride) + column;
  *value = static_cast<uint16_t>(*value + 8);
}

/// Expects each case of the group to be refused; the last one's message shall hold `says`.
void expect_wrong(const CaseGroup& group, const std::vector<std::string>& says = {}) {
  Status last;
  for (const KernelCase& one : group.make()) {
    last = check(one);
    EXPECT_EQ(last.code(), StatusCode::internal) << one.info.name();
    EXPECT_EQ(exit_code(last), 1);
    EXPECT_THAT(last.problem().what, HasSubstr(one.info.name()));
    EXPECT_FALSE(last.problem().expected.empty());
    EXPECT_FALSE(last.problem().found.empty());
  }
  for (const std::string& part : says) EXPECT_THAT(last.message(), HasSubstr(part));
}

TEST(BenchCases, OneWrongValueOfALinearLayerIsNamed) {
  kernels::KernelSet wrong = bf16_set();
  wrong.linear = [](const kernels::LinearArgs& args) {
    bf16_set().linear(args);
    damage(args.output, args.output_stride, args.rows - 1, 17);
  };
  expect_wrong(linear_cases("ffn_up", small(), wrong),
               {"linear+gelu ffn_up bf16 on", "rows 256, k 60, n 100", "row 255, column 17"});
}

TEST(BenchCases, ANanIsWrong) {
  kernels::KernelSet wrong = bf16_set();
  wrong.linear = [](const kernels::LinearArgs& args) {
    bf16_set().linear(args);
    const uint16_t nan = 0x7fc0;
    std::memcpy(args.output, &nan, sizeof nan);
  };
  expect_wrong(linear_cases("qkv", small(), wrong), {"row 0, column 0", "found nan"});
}

TEST(BenchCases, WrongAttentionAndRowsAreFound) {
  kernels::KernelSet wrong = bf16_set();
  wrong.attention = [](const kernels::AttentionArgs& args) {
    bf16_set().attention(args);
    damage(args.context, args.context_stride, args.offsets[args.sequences] - 1, 0);
  };
  wrong.add_norm = [](const kernels::AddNormArgs& args) {
    bf16_set().add_norm(args);
    damage(args.output, args.output_stride, 0, args.columns - 1);
  };
  wrong.embed = [](const kernels::EmbedArgs& args) {
    kernels::EmbedArgs other = args;
    other.types = nullptr;
    other.type_table = nullptr;
    bf16_set().embed(other);
  };
  wrong.pool = [](const kernels::PoolArgs& args) {
    bf16_set().pool(args);
    args.output[3] += 1e-4f;
  };
  expect_wrong(attention_cases(small(), wrong));
  expect_wrong(row_cases(small(), wrong));
}

TEST(BenchCases, WrongInt8IsFound) {
  kernels::Int8KernelSet wrong = int8_set();
  wrong.linear = [](const kernels::Int8LinearArgs& args) {
    int8_set().linear(args);
    damage(args.output, args.output_stride, 0, 2);
  };
  wrong.quantize = [](const kernels::QuantizeArgs& args) {
    int8_set().quantize(args);
    args.output[5] ^= 1;
  };
  expect_wrong(int8_linear_cases("ffn_down", small(), wrong), {"linear ffn_down int8 on"});
  expect_wrong(quantize_cases(small(), wrong));
}

TEST(BenchCases, CostsAreThoseOfTheTrueSizes) {
  const std::vector<KernelCase> qkv = linear_cases("qkv", small(), bf16_set()).make();
  EXPECT_EQ(qkv.front().info.flops, 8 * 2.0 * 60 * 180);  // not of the padded 192 columns
  const std::vector<KernelCase> attention = attention_cases(small(), bf16_set()).make();
  ASSERT_EQ(attention.size(), 2u) << "12 and 60 tokens: the model takes 64";
  EXPECT_EQ(attention.front().info.flops, 16 * 4.0 * 12 * 12 * 60);
}

TEST(BenchCases, TheShapesOfAnInt8ModelAreThoseOfItsLayers) {
  artifact::Metadata metadata;
  metadata.spec = small();
  metadata.precision = Precision::int8;
  for (const char* layer : {"layers.0.qkv", "layers.0.ffn_down", "layers.1.qkv"}) {
    metadata.linears.push_back({.layer = layer});
  }
  metadata.linears.push_back({.layer = "layers.1.ffn_down", .precision = Precision::bf16});
  const EncoderShape shape = shape_of(metadata, "a.tw");
  EXPECT_THAT(shape.int8_parts, ElementsAre("qkv", "ffn_down"));
  EXPECT_THAT(shape.plain_parts, ElementsAre("ffn_down"));
  metadata.precision = Precision::bf16;
  metadata.linears.clear();
  EXPECT_THAT(shape_of(metadata, "a.tw").int8_parts, IsEmpty());
  EXPECT_EQ(shape_of(metadata, "a.tw").plain_parts.size(), 4u);
}

}  // namespace
}  // namespace tilewise::cli
