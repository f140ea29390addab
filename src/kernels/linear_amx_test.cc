// The linear kernel of the AMX level, on the processor where it has AMX and on the model of the
// tile unit everywhere.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/tile_unit_fixture.h"

namespace tilewise::kernels {
namespace {

using model::Precision;

/// A linear layer with its input, everything as the kernel takes it.
struct Layer {
  /// `input_columns`: what a row of the input has room for, at least k.
  Layer(int row_count, int k_size, int n_size, unsigned seed, int input_columns = 0)
      : rows(row_count),
        k(k_size),
        n(n_size),
        random(seed),
        input(rows, std::max(input_columns, static_cast<int>(padded_k(k, Precision::bf16))), 2),
        bias(static_cast<size_t>(padded_n(n)) * 4),
        weight(static_cast<size_t>(n) * static_cast<size_t>(k)),
        packed(packed_bytes(n, k, Precision::bf16)) {
    std::normal_distribution<float> normal;
    for (int r = 0; r < rows; ++r) {
      for (int i = 0; i < k; ++i) input.set_bf16(r, i, normal(random));
    }
    for (float& w : weight) w = normal(random) / std::sqrt(static_cast<float>(k));
    for (int column = 0; column < n; ++column) bias.as<float>()[column] = normal(random);
    pack();
  }

  void pack() {
    const auto panels = pack_panels(weight, n, k, Precision::bf16);
    std::memcpy(packed.as<char>(), panels.data(), panels.size());
  }

  LinearArgs args(const Matrix& output, Fused fused, OutputType type) const {
    LinearArgs a;
    a.input = input.row<char>(0);
    a.input_stride = input.stride();
    a.weights = packed.as<char>();
    a.bias = bias.as<float>();
    a.output = output.row<char>(0);
    a.output_stride = output.stride();
    a.rows = rows;
    a.k = static_cast<int>(padded_k(k, Precision::bf16));
    a.n = static_cast<int>(padded_n(n));
    a.fused = fused;
    a.output_type = type;
    return a;
  }

  int rows, k, n;
  std::mt19937 random;
  Matrix input;
  Bytes bias;
  std::vector<float> weight;
  Bytes packed;
};

size_t output_bytes(OutputType type) { return type == OutputType::fp32 ? 4 : 2; }

Matrix run(const TileUnit& unit, const Layer& layer, Fused fused, OutputType type) {
  Matrix output(layer.rows, static_cast<int>(padded_n(layer.n)), output_bytes(type));
  unit.linear(layer.args(output, fused, type));
  return output;
}

double gelu(double x) { return 0.5 * x * std::erfc(-x * std::sqrt(0.5)); }

void expect_fp64_result(const Layer& layer, const Matrix& output, Fused fused, OutputType type) {
  for (int r = 0; r < layer.rows; ++r) {
    for (int column = 0; column < layer.n; ++column) {
      double sum = layer.bias.as<float>()[column], magnitude = std::fabs(sum);
      for (int i = 0; i < layer.k; ++i) {
        const double product =
            double{layer.input.bf16(r, i)} *
            from_bf16(to_bf16(layer.weight[static_cast<size_t>(column * layer.k + i)]));
        sum += product;
        magnitude += std::fabs(product);
      }
      // Every addition errs by half an fp32 ulp of a partial sum; GeluFast by 1e-4; rounding to
      // bf16 by 2^-9 of the value.
      double tolerance = layer.k * 0x1p-24 * magnitude + 1e-30;
      const double expected = fused == Fused::gelu_erf ? gelu(sum) : sum;
      if (fused == Fused::gelu_erf)
        tolerance = 1.13 * tolerance + 1e-4;  // the slope of GELU is at most 1.13
      if (type == OutputType::activation) tolerance += 0x1p-8 * std::fabs(expected);
      const double found =
          type == OutputType::fp32 ? double{output.row<float>(r)[column]} : output.bf16(r, column);
      ASSERT_NEAR(found, expected, tolerance) << "row " << r << ", column " << column;
    }
  }
}

class LinearAmx : public TileUnitTest {};
INSTANTIATE_TEST_SUITE_P(Unit, LinearAmx, testing::Values(&kTileModel, &kTileHardware), unit_name);

TEST_P(LinearAmx, MatchesAnFp64Loop) {
  const struct {
    int rows, k, n;
  } shapes[] = {{1, 32, 32},   {12, 384, 96}, {16, 100, 33},  {17, 64, 64},
                {33, 384, 64}, {48, 640, 32}, {70, 1536, 64}, {161, 700, 40}};
  for (const auto& shape : shapes) {
    const Layer layer(shape.rows, shape.k, shape.n, 1);
    for (const Fused fused : {Fused::none, Fused::gelu_erf}) {
      for (const OutputType type : {OutputType::activation, OutputType::fp32}) {
        SCOPED_TRACE(testing::Message() << shape.rows << " x " << shape.k << " x " << shape.n);
        expect_fp64_result(layer, run(*GetParam(), layer, fused, type), fused, type);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(LinearAmx, GeluIsAccurateOverItsWholeRange) {
  // With weights of zero the sums are the bias.
  constexpr int kColumns = 4096;
  Layer layer(1, 32, kColumns, 8);
  std::fill(layer.weight.begin(), layer.weight.end(), 0.0f);
  layer.pack();
  float* x = layer.bias.as<float>();
  for (int i = 0; i < kColumns; ++i) x[i] = (i - kColumns / 2) * 0.003f;  // -6.1 to 6.1
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float special[] = {-1e30f, -1000.0f, -20.0f, 1e-30f, 20.0f, 1000.0f, 1e30f, kInfinity};
  std::copy(std::begin(special), std::end(special), x);
  x[8] = std::nanf("");
  const Matrix output = run(*GetParam(), layer, Fused::gelu_erf, OutputType::fp32);
  const float* found = output.row<float>(0);
  for (int i = 0; i < kColumns; ++i) {
    if (i == 8) {
      EXPECT_TRUE(std::isnan(found[i]));
    } else if (x[i] == kInfinity) {
      EXPECT_EQ(found[i], kInfinity);
    } else {
      // Both ways of computing it promise 1e-4.
      ASSERT_NEAR(found[i], gelu(x[i]), 1e-4 + std::fabs(x[i]) * 1e-7) << x[i];
    }
  }
}

TEST_P(LinearAmx, ARowDoesNotDependOnTheOthers) {
  for (const int k : {96, 704}) {
    const Layer layer(70, k, 96, 2);
    const Matrix together = run(*GetParam(), layer, Fused::gelu_erf, OutputType::fp32);
    for (int rows = 1; rows <= layer.rows; ++rows) {
      for (const int first : {0, layer.rows - rows}) {
        const Matrix part(rows, layer.n, 4);
        LinearArgs args = layer.args(part, Fused::gelu_erf, OutputType::fp32);
        args.input = layer.input.row<char>(first);
        args.rows = rows;
        GetParam()->linear(args);
        for (int r = 0; r < rows; ++r) {
          ASSERT_EQ(0, std::memcmp(part.row<char>(r), together.row<char>(first + r),
                                   static_cast<size_t>(layer.n) * 4))
              << "row " << first + r << " of " << rows << " from " << first << ", K " << k;
        }
      }
    }
  }
}

TEST_P(LinearAmx, TakesSeveralPassesOverLongRows) {
  // 32 rows of 60 KB are more input than stays in the cache.
  const Layer layer(100, 64, 96, 6, 30000);
  const Matrix output = run(*GetParam(), layer, Fused::none, OutputType::activation);
  expect_fp64_result(layer, output, Fused::none, OutputType::activation);
}

TEST_P(LinearAmx, LeavesAloneWhatLiesBesideTheOutput) {
  const Layer layer(37, 64, 96, 3);
  const Matrix output(layer.rows, layer.n, 2);
  const auto width = static_cast<size_t>(layer.n) * 2;
  const auto padding = static_cast<size_t>(output.stride()) - width;
  for (int r = 0; r < layer.rows; ++r) std::memset(output.row<char>(r) + width, 0x5a, padding);
  GetParam()->linear(layer.args(output, Fused::none, OutputType::activation));
  const std::vector<char> untouched(padding, 0x5a);
  for (int r = 0; r < layer.rows; ++r) {
    EXPECT_EQ(0, std::memcmp(output.row<char>(r) + width, untouched.data(), padding))
        << "row " << r;
  }
}

TEST_P(LinearAmx, PrefetchingTheNextLayerChangesNothing) {
  for (const int rows : {12, 50}) {
    const Layer layer(rows, 128, 64, 4);
    const Matrix expected = run(*GetParam(), layer, Fused::none, OutputType::fp32);
    const Matrix found(rows, layer.n, 4);
    LinearArgs args = layer.args(found, Fused::none, OutputType::fp32);
    args.next_weights = layer.packed.as<char>();
    GetParam()->linear(args);
    for (int r = 0; r < rows; ++r) {
      EXPECT_EQ(0, std::memcmp(found.row<char>(r), expected.row<char>(r),
                               static_cast<size_t>(layer.n) * 4));
    }
  }
}

/// Numbers over the whole range of bf16: subnormal ones, zeros of both signs, infinities, and
/// products that overflow.
float extreme(std::mt19937& random) {
  const uint32_t bits = random();
  const bool special_exponent = bits % 8 == 0;
  const uint32_t exponent = special_exponent ? (bits >> 8) % 2 * 255 : (bits >> 8) % 255;
  const uint32_t mantissa = exponent == 255 ? 0 : (bits >> 16) % 128;
  return from_bf16(static_cast<uint16_t>((bits >> 31) << 15 | exponent << 7 | mantissa));
}

/// Numbers whose sums come close to the subnormal range, where flushing and rounding meet: 2^-126 -
/// 2^-152, for example, is subnormal but is not when rounded to 24 bits.
float tiny(std::mt19937& random) {
  const uint32_t bits = random();
  const uint32_t sign = (bits >> 31) << 15;
  constexpr uint32_t kBias = 127;
  if (bits % 4 == 0) return from_bf16(static_cast<uint16_t>(sign | (kBias - 63) << 7));
  if (bits % 4 == 1) return from_bf16(static_cast<uint16_t>(sign | (kBias - 76) << 7));
  return from_bf16(
      static_cast<uint16_t>(sign | (kBias - 67 + bits / 4 % 8) << 7 | (bits >> 16) % 128));
}

void expect_same_bits(const Layer& layer, Fused fused, OutputType type) {
  kTileHardware.begin_pass();
  const Matrix hardware = run(kTileHardware, layer, fused, type);
  kTileHardware.end_pass();
  kTileModel.begin_pass();
  const Matrix model = run(kTileModel, layer, fused, type);
  kTileModel.end_pass();
  for (int r = 0; r < layer.rows; ++r) {
    for (int column = 0; column < layer.n; ++column) {
      if (type == OutputType::fp32) {
        const float found = model.row<float>(r)[column], expected = hardware.row<float>(r)[column];
        if (std::isnan(expected) && std::isnan(found)) continue;  // which NaN is not modelled
        ASSERT_EQ(0, std::memcmp(&found, &expected, 4))
            << found << " != " << expected << " at " << r << ", " << column;
      } else {
        if (std::isnan(hardware.bf16(r, column)) && std::isnan(model.bf16(r, column))) continue;
        ASSERT_EQ(model.row<uint16_t>(r)[column], hardware.row<uint16_t>(r)[column])
            << r << ", " << column;
      }
    }
  }
}

TEST(TileModel, ComputesWhatTheProcessorComputes) {
  if (!has_amx()) GTEST_SKIP() << "this processor has no AMX";
  std::mt19937 random(5);
  for (int trial = 0; trial < 60; ++trial) {
    Layer layer(1 + static_cast<int>(random() % 70), 1 + static_cast<int>(random() % 900),
                1 + static_cast<int>(random() % 100), static_cast<unsigned>(random()));
    float (*const draw)(std::mt19937&) = trial % 3 == 1 ? extreme : trial % 3 == 2 ? tiny : nullptr;
    if (draw != nullptr) {
      for (int r = 0; r < layer.rows; ++r) {
        for (int i = 0; i < layer.k; ++i) layer.input.set_bf16(r, i, draw(random));
      }
      for (float& w : layer.weight) w = draw(random);
      layer.pack();
      for (int column = 0; column < layer.n; ++column) {
        layer.bias.as<float>()[column] = draw(random) * (trial % 2 == 0 ? 1e-20f : 1.0f);
      }
    }
    for (const OutputType type : {OutputType::activation, OutputType::fp32}) {
      SCOPED_TRACE(testing::Message() << "trial " << trial << ": " << layer.rows << " x " << layer.k
                                      << " x " << layer.n);
      expect_same_bits(layer, Fused::none, type);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace tilewise::kernels
