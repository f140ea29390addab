#include "kernels/rows.h"

#include <cmath>
#include <limits>
#include <random>

#include "kernels/kernel_reference.h"
#include "kernels/kernel_set_fixture.h"

namespace tilewise::kernels {
namespace {

using model::Activation;
using model::Pooling;
using model::Precision;

constexpr double kUntouched = 77;
// The last two are wider than what a group of rows, and a single row, keep between their passes.
constexpr int32_t kWidths[] = {1, 7, 16, 32, 100, 384, 768, 1100, 4200};

class RowsTest : public KernelSetTest {
 protected:
  /// A matrix with one column more than `columns`, which no operation may touch.
  static Matrix guarded(int32_t rows, int32_t columns, Precision precision) {
    Matrix matrix(rows, columns + 1, precision);
    for (int32_t i = 0; i < rows; ++i) matrix.set(i, columns, kUntouched);
    return matrix;
  }

  static void expect_guard(const Matrix& matrix) {
    for (int32_t i = 0; i < matrix.rows(); ++i) {
      ASSERT_EQ(matrix.at(i, matrix.columns() - 1), kUntouched) << "row " << i;
    }
  }

  /// Mean and variance err by `columns` roundings, the rest by a few; values here are some units in
  /// size. Then one rounding to the element type.
  static double norm_tolerance(double value, int32_t columns) {
    return (2 * columns + 20) * kFp32Rounding * (4 + std::abs(value)) +
           (is_bf16() ? kBf16Rounding : 0) * std::abs(value);
  }
};

TEST_P(RowsTest, AddNormEqualsAPlainLoop) {
  std::mt19937 random(1);
  for (const int32_t columns : kWidths) {
    Matrix input(9, columns, set().precision), residual(9, columns, set().precision);
    input.fill(random, 2);
    residual.fill(random);
    FloatArray gain(columns), bias(columns);
    gain.fill(random, 1, 0.3, columns);
    bias.fill(random, 0, 0.5, columns);
    Matrix output = guarded(9, columns, set().precision);
    set().add_norm({.input = input.data(),
                    .input_stride = input.stride(),
                    .residual = residual.data(),
                    .residual_stride = residual.stride(),
                    .gain = gain.data(),
                    .bias = bias.data(),
                    .epsilon = 1e-5f,
                    .output = output.data(),
                    .output_stride = output.stride(),
                    .rows = 9,
                    .columns = columns});
    for (int32_t i = 0; i < 9; ++i) {
      std::vector<double> sums(static_cast<size_t>(columns));
      for (int32_t j = 0; j < columns; ++j) sums[j] = input.at(i, j) + residual.at(i, j);
      const auto expected = norm_reference(sums, gain.data(), bias.data(), 1e-5f);
      for (int32_t j = 0; j < columns; ++j) {
        ASSERT_NEAR(output.at(i, j), expected[j], norm_tolerance(expected[j], columns))
            << "row " << i << ", column " << j << " of " << columns;
      }
    }
    expect_guard(output);
  }
}

// The residual stream of norms that stand before their layers: the first residual is of the
// activation type, those that follow are the kept sum.
TEST_P(RowsTest, AddNormKeepsTheSumInFp32) {
  std::mt19937 random(8);
  for (const int32_t columns : kWidths) {
    Matrix input(9, columns, set().precision), residual(9, columns, set().precision);
    input.fill(random, 2);
    residual.fill(random);
    FloatArray gain(columns), bias(columns);
    gain.fill(random, 1, 0.3, columns);
    bias.fill(random, 0, 0.5, columns);
    Matrix sum = guarded(9, columns, Precision::fp32);
    AddNormArgs args{.input = input.data(),
                     .input_stride = input.stride(),
                     .residual = residual.data(),
                     .residual_stride = residual.stride(),
                     .sum = static_cast<float*>(sum.data()),
                     .sum_stride = sum.stride(),
                     .gain = gain.data(),
                     .bias = bias.data(),
                     .epsilon = 1e-5f,
                     .rows = 9,
                     .columns = columns};
    for (int step = 1; step <= 2; ++step) {
      Matrix output = guarded(9, columns, set().precision);
      args.output = output.data();
      args.output_stride = output.stride();
      set().add_norm(args);
      for (int32_t i = 0; i < 9; ++i) {
        std::vector<double> sums(static_cast<size_t>(columns));
        for (int32_t j = 0; j < columns; ++j) {
          const double expected = residual.at(i, j) + step * input.at(i, j);
          ASSERT_NEAR(sum.at(i, j), expected, step * kFp32Rounding * (std::abs(expected) + 10));
          sums[j] = sum.at(i, j);
        }
        const auto expected = norm_reference(sums, gain.data(), bias.data(), 1e-5f);
        for (int32_t j = 0; j < columns; ++j) {
          ASSERT_NEAR(output.at(i, j), expected[j], norm_tolerance(expected[j], columns))
              << "step " << step << ", row " << i << ", column " << j << " of " << columns;
        }
      }
      expect_guard(output);
      expect_guard(sum);
      args.residual = sum.data();
      args.residual_stride = sum.stride();
      args.residual_is_fp32 = true;
    }
  }
}

// The norm of a head's dense layer: nothing is added.
TEST_P(RowsTest, OneRowIsTheResidualOfAll) {
  std::mt19937 random(9);
  const int32_t columns = 100;
  Matrix input(6, columns, Precision::fp32);
  input.fill(random);
  FloatArray gain(columns), bias(columns), nothing(columns);
  gain.fill(random, 1, 0.3, columns);
  Matrix output = guarded(6, columns, Precision::fp32);
  set().add_norm_fp32({.input = input.data(),
                       .input_stride = input.stride(),
                       .residual = nothing.data(),
                       .gain = gain.data(),
                       .bias = bias.data(),
                       .epsilon = 1e-5f,
                       .output = output.data(),
                       .output_stride = output.stride(),
                       .rows = 6,
                       .columns = columns});
  for (int32_t i = 0; i < 6; ++i) {
    std::vector<double> values(static_cast<size_t>(columns));
    for (int32_t j = 0; j < columns; ++j) values[j] = input.at(i, j);
    const auto expected = norm_reference(values, gain.data(), bias.data(), 1e-5f);
    for (int32_t j = 0; j < columns; ++j) {
      ASSERT_NEAR(output.at(i, j), expected[j],
                  (2 * columns + 20) * kFp32Rounding * (4 + std::abs(expected[j])));
    }
  }
  expect_guard(output);
}

// Design decision 1: rows are normalised in groups, and a row's bits may not depend on its group.
TEST_P(RowsTest, ARowDoesNotDependOnTheOthers) {
  std::mt19937 random(7);
  for (const int32_t columns : {33, 384, 390, 1100}) {
    constexpr int32_t kRows = 11;
    Matrix input(kRows, columns, set().precision), residual(kRows, columns, set().precision);
    input.fill(random);
    residual.fill(random);
    FloatArray gain(columns), bias(columns);
    gain.fill(random, 1, 0.3, columns);
    bias.fill(random, 0, 0.5, columns);
    const auto rows_from = [&](int32_t first, int32_t rows) {
      Matrix output(rows, columns, set().precision);
      set().add_norm({.input = input.row(first),
                      .input_stride = input.stride(),
                      .residual = residual.row(first),
                      .residual_stride = residual.stride(),
                      .gain = gain.data(),
                      .bias = bias.data(),
                      .epsilon = 1e-12f,
                      .output = output.data(),
                      .output_stride = output.stride(),
                      .rows = rows,
                      .columns = columns});
      return output;
    };
    const Matrix together = rows_from(0, kRows);
    for (int32_t i = 0; i < kRows; ++i) {
      const Matrix alone = rows_from(i, 1);
      for (int32_t j = 0; j < columns; ++j) {
        ASSERT_EQ(alone.at(0, j), together.at(i, j)) << "row " << i << ", column " << j;
      }
    }
  }
}

TEST_P(RowsTest, AddNormInPlaceGivesTheSameBits) {
  std::mt19937 random(2);
  Matrix input(5, 390, set().precision), residual(5, 390, set().precision);
  input.fill(random);
  residual.fill(random);
  FloatArray gain(390), bias(390);
  gain.fill(random, 1, 0.3, 390);
  bias.fill(random, 0, 0.5, 390);
  Matrix output(5, 390, set().precision);
  AddNormArgs args{.input = input.data(),
                   .input_stride = input.stride(),
                   .residual = residual.data(),
                   .residual_stride = residual.stride(),
                   .gain = gain.data(),
                   .bias = bias.data(),
                   .epsilon = 1e-12f,
                   .output = output.data(),
                   .output_stride = output.stride(),
                   .rows = 5,
                   .columns = 390};
  set().add_norm(args);
  Matrix first = residual.copy();
  args.residual = first.data();
  args.output = first.data();
  set().add_norm(args);
  args.residual = residual.data();
  args.output = input.data();
  set().add_norm(args);
  for (int32_t i = 0; i < 5; ++i) {
    for (int32_t j = 0; j < 390; ++j) {
      ASSERT_EQ(first.at(i, j), output.at(i, j));
      ASSERT_EQ(input.at(i, j), output.at(i, j));
    }
  }
}

/// bf16 cannot hold input where this matters: its steps at 1000 are 4 wide.
class Fp32RowsTest : public RowsTest {};

TEST_P(Fp32RowsTest, AddNormOfALargeMeanKeepsItsPrecision) {
  // Mean 1000, deviation about 1: sum of squares minus square of the sum would lose six of fp32's
  // seven digits.
  std::mt19937 random(3);
  const int32_t columns = 384;
  Matrix input(1, columns, Precision::fp32), residual(1, columns, Precision::fp32);
  input.fill(random);
  for (int32_t j = 0; j < columns; ++j) input.set(0, j, input.at(0, j) + 1000);
  FloatArray gain(columns), bias(columns);
  for (int32_t j = 0; j < columns; ++j) gain[j] = 1;
  Matrix output(1, columns, Precision::fp32);
  set().add_norm({.input = input.data(),
                  .input_stride = input.stride(),
                  .residual = residual.data(),
                  .residual_stride = residual.stride(),
                  .gain = gain.data(),
                  .bias = bias.data(),
                  .epsilon = 1e-12f,
                  .output = output.data(),
                  .output_stride = output.stride(),
                  .rows = 1,
                  .columns = columns});
  std::vector<double> values(static_cast<size_t>(columns));
  for (int32_t j = 0; j < columns; ++j) values[j] = input.at(0, j);
  const auto expected = norm_reference(values, gain.data(), bias.data(), 1e-12f);
  for (int32_t j = 0; j < columns; ++j) {
    // The mean errs by up to columns / lanes roundings of 1000 here, a tenth of what the other
    // formula would lose.
    ASSERT_NEAR(output.at(0, j), expected[j], 100 * kFp32Rounding * 1000) << j;
  }
}

TEST_P(RowsTest, EmbedEqualsAPlainLoop) {
  std::mt19937 random(4);
  for (const int32_t columns : kWidths) {
    // Tables are dense: rows of exactly `columns` elements.
    FloatArray positions(20 * columns), types(2 * columns), gain(columns), bias(columns);
    positions.fill(random, 0, 1, 20 * columns);
    types.fill(random, 0, 1, 2 * columns);
    gain.fill(random, 1, 0.3, columns);
    bias.fill(random, 0, 0.5, columns);
    Matrix words(1, 50 * columns, set().precision);
    words.fill(random);
    const int32_t ids[] = {3, 49, 0, 7, 3, 12}, places[] = {0, 1, 2, 19, 0, 1},
                  kinds[] = {0, 0, 1, 1, 0, 1};
    for (const int parts : {0, 1, 2, 3}) {
      const bool typed = parts % 2 != 0, placed = parts / 2 != 0;
      Matrix output = guarded(6, columns, set().precision);
      set().embed({.ids = ids,
                   .positions = placed ? places : nullptr,
                   .types = typed ? kinds : nullptr,
                   .word_table = words.data(),
                   .position_table = placed ? positions.data() : nullptr,
                   .type_table = typed ? types.data() : nullptr,
                   .gain = gain.data(),
                   .bias = bias.data(),
                   .epsilon = 1e-5f,
                   .output = output.data(),
                   .output_stride = output.stride(),
                   .rows = 6,
                   .columns = columns});
      for (int32_t i = 0; i < 6; ++i) {
        std::vector<double> sums(static_cast<size_t>(columns));
        for (int32_t j = 0; j < columns; ++j) {
          sums[j] = words.at(0, ids[i] * columns + j) +
                    (placed ? positions[places[i] * columns + j] : 0) +
                    (typed ? types[kinds[i] * columns + j] : 0);
        }
        const auto expected = norm_reference(sums, gain.data(), bias.data(), 1e-5f);
        for (int32_t j = 0; j < columns; ++j) {
          ASSERT_NEAR(output.at(i, j), expected[j], norm_tolerance(expected[j], columns))
              << "row " << i << ", column " << j << " of " << columns;
        }
      }
      expect_guard(output);
    }
  }
}

double activation_reference(Activation activation, double x) {
  switch (activation) {
    case Activation::identity:
      return x;
    case Activation::gelu_erf:
      return gelu_reference(x);
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::tanh:
      return std::tanh(x);
  }
  return 0;
}

TEST_P(RowsTest, ActivationsEqualTheirDefinitions) {
  const int32_t columns = 12001;
  for (const bool fp32 : {false, true}) {
    const Precision precision = fp32 ? Precision::fp32 : set().precision;
    for (const Activation activation :
         {Activation::identity, Activation::gelu_erf, Activation::gelu_tanh, Activation::relu,
          Activation::tanh}) {
      Matrix data = guarded(3, columns, precision);
      for (int32_t j = 0; j < columns; ++j) {
        data.set(0, j, (j - 6000) * 1e-3);
        data.set(1, j, (j - 6000) * 1e-2);
        data.set(2, j, (j % 2 != 0 ? -1 : 1) * std::pow(10, (j - 6000) / 160.0));
      }
      const Matrix expected = data.copy();
      set().activate({.data = data.data(),
                      .stride = data.stride(),
                      .rows = 3,
                      .columns = columns,
                      .is_fp32 = fp32,
                      .activation = activation});
      for (int32_t i = 0; i < 3; ++i) {
        for (int32_t j = 0; j < columns; ++j) {
          const double x = expected.at(i, j), y = activation_reference(activation, x);
          // gelu-inl.h: 1e-4 for bf16, 1.2e-7 max(1, |x|) (tanh form 3e-7) for fp32; and the
          // rounding of the result.
          const bool coarse = precision == Precision::bf16;
          const double own = activation == Activation::identity || activation == Activation::relu
                                 ? 0
                             : coarse ? 1e-4
                                      : 3e-7 * std::max(1.0, std::abs(y));
          ASSERT_NEAR(data.at(i, j), y,
                      own + (coarse ? kBf16Rounding : kFp32Rounding) * std::abs(y))
              << "activation " << static_cast<int>(activation) << " of " << x
              << (fp32 ? " fp32" : "");
        }
      }
      expect_guard(data);
    }
  }
}

TEST_P(RowsTest, AGateMultipliesWhatWasActivated) {
  std::mt19937 random(10);
  for (const int32_t columns : {1, 7, 16, 100, 1152}) {
    for (const Activation activation : {Activation::identity, Activation::gelu_erf}) {
      Matrix data = guarded(4, 2 * columns, set().precision);
      for (int32_t i = 0; i < 4; ++i) {
        std::normal_distribution<double> normal(0, 2);
        for (int32_t j = 0; j < 2 * columns; ++j) data.set(i, j, normal(random));
      }
      const Matrix before = data.copy();
      set().activate({.data = data.data(),
                      .stride = data.stride(),
                      .rows = 4,
                      .columns = columns,
                      .is_fp32 = !is_bf16(),
                      .activation = activation,
                      .is_gated = true});
      for (int32_t i = 0; i < 4; ++i) {
        for (int32_t j = 0; j < columns; ++j) {
          const double gate = before.at(i, columns + j);
          const double y = activation_reference(activation, before.at(i, j));
          // gelu-inl.h, times the gate; then the rounding of the product.
          const double own = is_bf16() ? 1e-4 : 2e-7 * std::max(1.0, std::abs(y));
          ASSERT_NEAR(data.at(i, j), y * gate,
                      own * std::abs(gate) +
                          (is_bf16() ? kBf16Rounding : 2 * kFp32Rounding) * std::abs(y * gate))
              << "row " << i << ", column " << j << " of " << columns;
          ASSERT_EQ(data.at(i, columns + j), gate);
        }
      }
      expect_guard(data);
    }
  }
}

TEST_P(RowsTest, ActivationsPassNanOn) {
  for (const Activation activation : {Activation::identity, Activation::gelu_erf,
                                      Activation::gelu_tanh, Activation::relu, Activation::tanh}) {
    Matrix data(1, 40, set().precision);
    data.set(0, 3, std::numeric_limits<double>::quiet_NaN());
    data.set(0, 39, -std::numeric_limits<double>::quiet_NaN());
    set().activate({.data = data.data(),
                    .stride = data.stride(),
                    .rows = 1,
                    .columns = 40,
                    .is_fp32 = !is_bf16(),
                    .activation = activation});
    for (int32_t j = 0; j < 40; ++j) {
      ASSERT_EQ(std::isnan(data.at(0, j)), j == 3 || j == 39)
          << static_cast<int>(activation) << " " << j;
    }
  }
}

TEST_P(RowsTest, PoolEqualsAPlainLoop) {
  std::mt19937 random(5);
  const int32_t offsets[] = {0, 1, 13, 15, 80};
  for (const int32_t columns : kWidths) {
    for (const auto& [pooling, is_fp32] :
         {std::pair(Pooling::mean, false), {Pooling::cls, false}, {Pooling::mean, true}}) {
      Matrix input(80, columns, is_fp32 ? Precision::fp32 : set().precision);
      input.fill(random);
      Matrix output = guarded(4, columns, Precision::fp32);
      set().pool({.input = input.data(),
                  .input_stride = input.stride(),
                  .is_fp32 = is_fp32,
                  .offsets = offsets,
                  .sequences = 4,
                  .pooling = pooling,
                  .output = static_cast<float*>(output.data()),
                  .output_stride = output.stride(),
                  .columns = columns});
      for (int32_t s = 0; s < 4; ++s) {
        const int32_t count = pooling == Pooling::cls ? 1 : offsets[s + 1] - offsets[s];
        for (int32_t j = 0; j < columns; ++j) {
          double sum = 0, magnitude = 0;
          for (int32_t t = 0; t < count; ++t) {
            sum += input.at(offsets[s] + t, j) / count;
            magnitude += std::abs(input.at(offsets[s] + t, j)) / count;
          }
          // One rounding an addition, one for the factor, one for the product.
          ASSERT_NEAR(output.at(s, j), sum, (count + 2) * kFp32Rounding * magnitude)
              << s << " " << j;
        }
      }
      expect_guard(output);
    }
  }
}

TILEWISE_FOR_ALL_KERNEL_SETS(RowsTest);
TILEWISE_FOR_KERNEL_SETS(Fp32RowsTest, sets_of(Precision::fp32));

}  // namespace
}  // namespace tilewise::kernels
