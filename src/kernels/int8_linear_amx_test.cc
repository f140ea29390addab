// The int8 linear layer of the AMX level, on the processor where it has AMX and on the model of the
// tile unit everywhere.
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/tile_unit_fixture.h"

namespace tilewise::kernels {
namespace {

using model::Precision;

/// An int8 linear layer with its input, everything as the kernel takes it. Where it must not look
/// stand NaN and arbitrary bytes.
struct Layer {
  Layer(int row_count, int k_size, int n_size, unsigned seed)
      : rows(row_count),
        k(k_size),
        n(n_size),
        random(seed),
        input(rows, static_cast<int>(padded_k(k, Precision::int8)), 1),
        input_scales(static_cast<size_t>(rows + kRowSlack) * 4),
        weight(static_cast<size_t>(n) * static_cast<size_t>(k)),
        packed(packed_bytes(n, k, Precision::int8)),
        weight_scales(column_bytes()),
        column_sums(column_bytes()),
        bias(column_bytes()) {
    std::uniform_int_distribution<int> bytes(0, 255), weights(-127, 127);
    std::uniform_real_distribution<float> scale(0.5f, 2.0f);
    std::normal_distribution<float> normal;
    for (int r = 0; r < rows; ++r) {
      for (int i = 0; i < padded_k(k, Precision::int8); ++i) {
        input.row<uint8_t>(r)[i] = static_cast<uint8_t>(bytes(random));
      }
    }
    for (int r = 0; r < rows + kRowSlack; ++r) {
      input_scales.as<float>()[r] = r < rows ? 0.01f * scale(random) : std::nanf("");
    }
    for (int8_t& w : weight) w = static_cast<int8_t>(weights(random));
    for (int column = 0; column < n; ++column) {
      weight_scales.as<float>()[column] = 0.01f * scale(random) / std::sqrt(static_cast<float>(k));
      bias.as<float>()[column] = normal(random);
    }
    pack();
  }

  void pack() {
    const auto panels = pack_int8_panels(weight, n, k);
    std::memcpy(packed.as<char>(), panels.data(), panels.size());
    for (int column = 0; column < n; ++column) {
      int32_t sum = 0;
      for (int i = 0; i < k; ++i) sum += weight_at(column, i);
      column_sums.as<int32_t>()[column] = sum;
    }
  }

  /// fp32 holds powers of two exactly; with them scaling rounds nothing.
  void make_scales_powers_of_two() {
    for (int r = 0; r < rows; ++r) input_scales.as<float>()[r] = 0x1p-3f;
    for (int column = 0; column < n; ++column) weight_scales.as<float>()[column] = 0x1p-7f;
  }

  int weight_at(int column, int i) const {
    return weight[static_cast<size_t>(column) * static_cast<size_t>(k) + static_cast<size_t>(i)];
  }

  int64_t sum(int row, int column) const {
    int64_t total = 0;
    for (int i = 0; i < k; ++i) {
      total += (int64_t{input.row<uint8_t>(row)[i]} - zero_point) * weight_at(column, i);
    }
    return total;
  }

  Int8LinearArgs args(const Matrix& output, Fused fused) const {
    Int8LinearArgs a;
    a.input = input.row<uint8_t>(0);
    a.input_stride = input.stride();
    a.input_scales = input_scales.as<float>();
    a.zero_point = zero_point;
    a.weights = packed.as<char>();
    a.weight_scales = weight_scales.as<float>();
    a.column_sums = column_sums.as<int32_t>();
    a.bias = bias.as<float>();
    a.output = output.row<char>(0);
    a.output_stride = output.stride();
    a.rows = rows;
    a.k = static_cast<int>(padded_k(k, Precision::int8));
    a.n = static_cast<int>(padded_n(n));
    a.fused = fused;
    return a;
  }

  size_t column_bytes() const { return static_cast<size_t>(padded_n(n)) * 4; }

  int rows, k, n;
  int zero_point = kSymmetricZero;
  std::mt19937 random;
  Matrix input;
  Bytes input_scales;
  std::vector<int8_t> weight;
  Bytes packed, weight_scales, column_sums, bias;
};

Matrix run(const TileUnit& unit, const Layer& layer, Fused fused) {
  Matrix output(layer.rows, static_cast<int>(padded_n(layer.n)), 2);
  unit.int8_linear(layer.args(output, fused));
  return output;
}

double gelu(double x) { return 0.5 * x * std::erfc(-x * std::sqrt(0.5)); }

void expect_fp64_result(const Layer& layer, const Matrix& output, Fused fused) {
  for (int r = 0; r < layer.rows; ++r) {
    for (int column = 0; column < layer.n; ++column) {
      const double scaled = static_cast<double>(layer.sum(r, column)) *
                            layer.input_scales.as<float>()[r] *
                            layer.weight_scales.as<float>()[column];
      const double bias = layer.bias.as<float>()[column];
      // Four roundings to fp32: of the sum, of the scale, of the product, of the result. GELU adds
      // 1e-4 and a slope of at most 1.13, bf16 2^-9 of the value.
      double tolerance = 4 * 0x1p-24 * (std::fabs(scaled) + std::fabs(bias));
      const double expected = fused == Fused::gelu_erf ? gelu(scaled + bias) : scaled + bias;
      if (fused == Fused::gelu_erf) tolerance = 1.13 * tolerance + 1e-4;
      tolerance += 0x1p-8 * std::fabs(expected);
      ASSERT_NEAR(output.bf16(r, column), expected, tolerance)
          << "row " << r << ", column " << column;
    }
  }
}

class Int8LinearAmx : public TileUnitTest {};
INSTANTIATE_TEST_SUITE_P(Unit, Int8LinearAmx, testing::Values(&kTileModel, &kTileHardware),
                         unit_name);

TEST_P(Int8LinearAmx, MatchesAnFp64Loop) {
  const struct {
    int rows, k, n;
  } shapes[] = {{1, 64, 32},   {12, 384, 96},  {16, 100, 33},  {17, 64, 64},
                {33, 384, 64}, {48, 1280, 32}, {70, 1536, 64}, {161, 1400, 40}};
  for (const auto& shape : shapes) {
    Layer layer(shape.rows, shape.k, shape.n, 1);
    for (const int zero_point : {kSymmetricZero, 0}) {
      layer.zero_point = zero_point;
      for (const Fused fused : {Fused::none, Fused::gelu_erf}) {
        SCOPED_TRACE(testing::Message() << shape.rows << " x " << shape.k << " x " << shape.n
                                        << ", zero point " << zero_point);
        expect_fp64_result(layer, run(*GetParam(), layer, fused), fused);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(Int8LinearAmx, SumsAreExact) {
  // With scales of 1 and a bias that is minus the sum of a row, that row's output is zero only if
  // its sums are exact. All sums are under 2^24, so fp32 holds them.
  for (const int rows : {5, 33}) {
    Layer layer(rows, 1536, 64, 2);
    for (int r = 0; r < rows; ++r) layer.input_scales.as<float>()[r] = 1;
    for (int column = 0; column < layer.n; ++column) layer.weight_scales.as<float>()[column] = 1;
    for (const int row : {0, rows / 2, rows - 1}) {
      for (int column = 0; column < layer.n; ++column) {
        const int64_t sum = layer.sum(row, column);
        ASSERT_LT(std::abs(sum), 1 << 24);
        layer.bias.as<float>()[column] = static_cast<float>(-sum);
      }
      const Matrix output = run(*GetParam(), layer, Fused::none);
      for (int column = 0; column < layer.n; ++column) {
        EXPECT_EQ(output.bf16(row, column), 0) << "row " << row << ", column " << column;
      }
    }
  }
}

TEST_P(Int8LinearAmx, TheLongestKDoesNotOverflow) {
  Layer layer(2, kMaxInt8K, 32, 3);
  layer.zero_point = 0;
  std::memset(layer.input.row<uint8_t>(0), 255, static_cast<size_t>(kMaxInt8K));
  for (size_t i = 0; i < layer.weight.size(); ++i) {
    layer.weight[i] = i < layer.weight.size() / 2 ? 127 : -127;
  }
  layer.pack();
  expect_fp64_result(layer, run(*GetParam(), layer, Fused::none), Fused::none);
}

TEST_P(Int8LinearAmx, ARowDoesNotDependOnTheOthers) {
  for (const int k : {192, 1408}) {
    const Layer layer(70, k, 96, 4);
    const Matrix together = run(*GetParam(), layer, Fused::gelu_erf);
    for (int rows = 1; rows <= layer.rows; ++rows) {
      for (const int first : {0, layer.rows - rows}) {
        const Matrix part(rows, layer.n, 2);
        Int8LinearArgs args = layer.args(part, Fused::gelu_erf);
        args.input = layer.input.row<uint8_t>(first);
        args.input_scales += first;
        args.rows = rows;
        GetParam()->int8_linear(args);
        for (int r = 0; r < rows; ++r) {
          ASSERT_EQ(0, std::memcmp(part.row<char>(r), together.row<char>(first + r),
                                   static_cast<size_t>(layer.n) * 2))
              << "row " << first + r << " of " << rows << " from " << first << ", K " << k;
        }
      }
    }
  }
}

TEST_P(Int8LinearAmx, RowsOfScaleZeroGiveTheBias) {
  Layer layer(3, 128, 64, 5);
  layer.input_scales.as<float>()[1] = 0;
  const Matrix output = run(*GetParam(), layer, Fused::none);
  for (int column = 0; column < layer.n; ++column) {
    EXPECT_EQ(output.row<uint16_t>(1)[column], to_bf16(layer.bias.as<float>()[column]));
  }
}

TEST_P(Int8LinearAmx, LeavesAloneWhatLiesBesideTheOutput) {
  const Layer layer(37, 128, 96, 6);
  const Matrix output(layer.rows, layer.n, 2);
  const auto width = static_cast<size_t>(layer.n) * 2;
  const auto padding = static_cast<size_t>(output.stride()) - width;
  for (int r = 0; r < layer.rows; ++r) std::memset(output.row<char>(r) + width, 0x5a, padding);
  GetParam()->int8_linear(layer.args(output, Fused::none));
  const std::vector<char> untouched(padding, 0x5a);
  for (int r = 0; r < layer.rows; ++r) {
    EXPECT_EQ(0, std::memcmp(output.row<char>(r) + width, untouched.data(), padding))
        << "row " << r;
  }
}

TEST(TileModel, ComputesTheInt8LayerOfTheProcessor) {
  if (!has_amx()) GTEST_SKIP() << "this processor has no AMX";
  std::mt19937 random(7);
  for (int trial = 0; trial < 60; ++trial) {
    Layer layer(1 + static_cast<int>(random() % 70), 1 + static_cast<int>(random() % 2000),
                1 + static_cast<int>(random() % 100), static_cast<unsigned>(random()));
    layer.zero_point = trial % 2 == 0 ? kSymmetricZero : 0;
    layer.make_scales_powers_of_two();  // else a fused multiply-add differs from two operations
    kTileHardware.begin_pass();
    const Matrix hardware = run(kTileHardware, layer, Fused::none);
    kTileHardware.end_pass();
    kTileModel.begin_pass();
    const Matrix model = run(kTileModel, layer, Fused::none);
    kTileModel.end_pass();
    for (int r = 0; r < layer.rows; ++r) {
      ASSERT_EQ(0, std::memcmp(model.row<char>(r), hardware.row<char>(r),
                               static_cast<size_t>(layer.n) * 2))
          << "trial " << trial << ": row " << r << " of " << layer.rows << " x " << layer.k << " x "
          << layer.n;
    }
  }
}

}  // namespace
}  // namespace tilewise::kernels
