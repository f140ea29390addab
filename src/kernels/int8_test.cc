#include "kernels/int8.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "kernels/int8_kernel_set.h"
#include "kernels/int8_reference.h"
#include "kernels/kernel_set_fixture.h"

namespace tilewise::kernels {
namespace {

using model::Precision;

class Int8Test : public SetTest<Int8KernelSet> {
 protected:
  static Matrix run(const Int8Layer& layer, const QuantizedRows& input, Fused fused,
                    int32_t zero_point) {
    Matrix output(input.rows(), layer.padded_n(), Precision::bf16);
    Int8LinearArgs args = layer.args();
    args.input = input.row(0);
    args.input_stride = input.stride();
    args.input_scales = input.scales().data();
    args.zero_point = zero_point;
    args.output = output.data();
    args.output_stride = output.stride();
    args.rows = input.rows();
    args.fused = fused;
    set().linear(args);
    return output;
  }

  static QuantizedRows random_rows(int32_t rows, int32_t k, std::mt19937& random) {
    QuantizedRows input(rows, k);
    input.fill(random);
    return input;
  }

  /// The sum is exact; converting it, two multiplications and an addition round once each. GELU
  /// adds what gelu-inl.h promises (its slope is under 1.13), and storing bf16 rounds once.
  static double tolerance(const Reference& reference, Fused fused) {
    double bound = 4 * kFp32Rounding * reference.magnitude;
    if (fused == Fused::gelu_erf) bound = 1.13 * bound + 1e-4;
    return bound + kBf16Rounding * (std::abs(reference.value) + bound);
  }

  static void expect_right(const Int8Layer& layer, const QuantizedRows& input, Fused fused,
                           int32_t zero_point) {
    const Matrix output = run(layer, input, fused, zero_point);
    for (int32_t i = 0; i < input.rows(); ++i) {
      for (int32_t j = 0; j < layer.n(); ++j) {
        const Reference reference = int8_linear_reference(layer, input, zero_point, i, j);
        const double expected =
            fused == Fused::gelu_erf ? gelu_reference(reference.value) : reference.value;
        ASSERT_NEAR(output.at(i, j), expected, tolerance(reference, fused))
            << "row " << i << " of " << input.rows() << ", column " << j << ", K " << layer.k()
            << ", N " << layer.n() << ", zero point " << zero_point;
      }
      for (int32_t j = layer.n(); j < layer.padded_n(); ++j) {
        ASSERT_EQ(output.at(i, j), 0) << "padding column " << j << " of row " << i;
      }
    }
  }
};

TEST_P(Int8Test, LinearEqualsAPlainLoop) {
  std::mt19937 random(1);
  const int32_t sizes[][3] = {{1, 64, 32},   {1, 384, 384},  {8, 384, 1536}, {12, 1536, 384},
                              {33, 100, 70}, {70, 7, 33},    {3, 1, 1},      {17, 1100, 288},
                              {5, 3072, 96}, {40, 2112, 64}, {200, 256, 32}};
  for (const auto& [rows, k, n] : sizes) {
    const Int8Layer layer(k, n, random);
    const QuantizedRows input = random_rows(rows, k, random);
    for (const Fused fused : {Fused::none, Fused::gelu_erf}) {
      for (const int32_t zero_point : {kSymmetricZero, 0}) {
        expect_right(layer, input, fused, zero_point);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(Int8Test, LinearEqualsAPlainLoopOnRandomShapes) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int repetition = 0; repetition < 20; ++repetition) {
    const int32_t k = std::uniform_int_distribution(1, 700)(random);
    const Int8Layer layer(k, std::uniform_int_distribution(1, 200)(random), random);
    const QuantizedRows input =
        random_rows(std::uniform_int_distribution(1, 40)(random), k, random);
    expect_right(layer, input, random() % 2 != 0 ? Fused::gelu_erf : Fused::none,
                 random() % 2 != 0 ? kSymmetricZero : 0);
    if (HasFatalFailure()) return;
  }
}

// Whatever the instruction keeps between the bytes and int32 would overflow or saturate here.
TEST_P(Int8Test, TheLargestSumsAreExact) {
  for (const int32_t k : {64, 1024, 3072, kMaxInt8K}) {
    for (const int weight : {127, -127}) {
      const Int8Layer layer(
          k, 32, std::vector<int8_t>(static_cast<size_t>(k) * 32, static_cast<int8_t>(weight)));
      QuantizedRows input(2, k);
      std::memset(input.row(0), 255, static_cast<size_t>(k));
      std::memset(input.row(1), 0, static_cast<size_t>(k));
      input.scales()[0] = input.scales()[1] = 1;
      for (const int32_t zero_point : {kSymmetricZero, 0}) {
        expect_right(layer, input, Fused::none, zero_point);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// bf16 hides the low bits of large sums, so here extreme products cancel to a sum that bf16 holds.
TEST_P(Int8Test, EveryBitOfASumCounts) {
  std::mt19937 random(2);
  for (const int32_t k : {64, 384, 1536, 3072}) {
    constexpr int32_t kRows = 15, kColumns = 64;
    std::vector<int8_t> weights(static_cast<size_t>(k) * kColumns);
    for (int32_t j = 0; j < kColumns; ++j) {
      for (int32_t i = 0; i < k; ++i) {
        weights[static_cast<size_t>(j * k + i)] = i < k / 2 ? 127 : -127;
      }
      // With the last byte of every row at 1, this adds 0 to 126.
      weights[static_cast<size_t>(j * k + k - 1)] = static_cast<int8_t>(-127 + 2 * j);
    }
    const Int8Layer layer(k, kColumns, weights);
    QuantizedRows input(kRows, k);
    for (int32_t i = 0; i < kRows; ++i) {
      std::memset(input.row(i), i == 0 ? 255 : static_cast<int>(random() % 256),
                  static_cast<size_t>(k));
      input.row(i)[k / 2 - 1] = input.row(i)[k - 1] = 1;
      input.scales()[i] = 1;
    }
    const Matrix output = run(layer, input, Fused::none, 0);
    for (int32_t i = 0; i < kRows; ++i) {
      for (int32_t j = 0; j < kColumns; ++j) ASSERT_EQ(output.at(i, j), 2 * j) << i << ", K " << k;
    }
  }
}

// Design decision 1: a row's result does not depend on how many rows there are, bit for bit.
TEST_P(Int8Test, ARowDoesNotDependOnTheOthers) {
  std::mt19937 random(3);
  const int32_t sizes[][2] = {{384, 96}, {1088, 320}, {2112, 32}};
  for (const auto& [k, n] : sizes) {
    const Int8Layer layer(k, n, random);
    const QuantizedRows input = random_rows(300, k, random);
    for (const Fused fused : {Fused::none, Fused::gelu_erf}) {
      std::vector<Matrix> alone;
      for (int32_t i = 0; i < 300; ++i) {
        QuantizedRows row(1, k);
        std::memcpy(row.row(0), input.row(i), static_cast<size_t>(k));
        row.scales()[0] = input.scales().data()[i];
        alone.push_back(run(layer, row, fused, kSymmetricZero));
      }
      for (int32_t rows = 1; rows <= 300; rows += rows < 70 ? 1 : 46) {
        QuantizedRows part(rows, k);
        for (int32_t i = 0; i < rows; ++i) {
          std::memcpy(part.row(i), input.row(i), static_cast<size_t>(k));
          part.scales()[i] = input.scales().data()[i];
        }
        const Matrix output = run(layer, part, fused, kSymmetricZero);
        for (int32_t i = 0; i < rows; ++i) {
          ASSERT_EQ(std::memcmp(output.row(i), alone[static_cast<size_t>(i)].row(0),
                                static_cast<size_t>(n) * 2),
                    0)
              << "row " << i << " of " << rows << ", K " << k;
        }
      }
    }
  }
}

TEST_P(Int8Test, ANanStaysInItsRow) {
  std::mt19937 random(4);
  const Int8Layer layer(384, 64, random);
  QuantizedRows input = random_rows(40, 384, random);
  const Matrix clean = run(layer, input, Fused::gelu_erf, kSymmetricZero);
  input.scales()[17] = std::numeric_limits<float>::quiet_NaN();
  const Matrix output = run(layer, input, Fused::gelu_erf, kSymmetricZero);
  for (int32_t i = 0; i < 40; ++i) {
    if (i == 17) continue;
    for (int32_t j = 0; j < 64; ++j) ASSERT_EQ(output.at(i, j), clean.at(i, j)) << i << " " << j;
  }
}

/// Rows of bf16 with what QuantizeArgs needs around them.
struct QuantizeCase {
  QuantizeCase(int32_t rows, int32_t columns, bool symmetric, bool smoothed, std::mt19937& random)
      : input(rows, columns, Precision::bf16),
        output(rows, columns),
        smooth(columns),
        is_symmetric(symmetric),
        is_smoothed(smoothed) {
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<float> spread(0.1f, 10.0f);
    for (int32_t i = 0; i < rows; ++i) {
      for (int32_t j = 0; j < columns; ++j) {
        const double x = 3 * normal(random);
        input.set(i, j, is_symmetric ? x : gelu_reference(x));
      }
    }
    for (int32_t j = 0; j < columns; ++j) smooth[j] = spread(random);
  }

  QuantizeArgs args() {
    return {.input = input.data(),
            .input_stride = input.stride(),
            .smooth = is_smoothed ? smooth.data() : nullptr,
            .is_symmetric = is_symmetric,
            .floor = is_symmetric ? 0.0f : -0.17f,
            .output = output.row(0),
            .output_stride = output.stride(),
            .scales = output.scales().data(),
            .rows = input.rows(),
            .columns = input.columns()};
  }

  Matrix input;
  QuantizedRows output;
  FloatArray smooth;
  bool is_symmetric;
  bool is_smoothed;
};

TEST_P(Int8Test, QuantizeGivesTheBytesOfItsDefinition) {
  std::mt19937 random(5);
  for (const int32_t columns : {1, 15, 16, 31, 64, 100, 384, 1111, 1536, 3072}) {
    for (const bool is_symmetric : {true, false}) {
      for (const bool is_smoothed : {true, false}) {
        QuantizeCase tested(19, columns, is_symmetric, is_smoothed, random);
        for (int32_t j = 0; j < columns; ++j) {
          tested.input.set(3, j, is_symmetric ? 0 : -0.171);   // nothing above the zero point
          tested.input.set(4, j, is_symmetric ? -5 : -0.001);  // nothing positive
          tested.input.set(5, j, 1e-36 * (j % 7));             // under kSmallestRange
          tested.input.set(6, j, 1e36 * (j % 7));
        }
        const QuantizeArgs args = tested.args();
        set().quantize(args);
        for (int32_t i = 0; i < 19; ++i) {
          const QuantizedRow expected = quantize_reference(args, i);
          ASSERT_EQ(args.scales[i], expected.scale) << "row " << i << ", " << columns << " columns";
          for (int32_t j = 0; j < columns; ++j) {
            ASSERT_EQ(tested.output.row(i)[j], expected.bytes[static_cast<size_t>(j)])
                << "row " << i << ", column " << j << " of " << columns << ", symmetric "
                << is_symmetric << ", smoothed " << is_smoothed;
          }
        }
      }
    }
  }
}

TEST_P(Int8Test, QuantizedValuesAreWithinHalfAStep) {
  std::mt19937 random(6);
  for (const bool is_symmetric : {true, false}) {
    for (const bool is_smoothed : {true, false}) {
      QuantizeCase tested(8, 300, is_symmetric, is_smoothed, random);
      const QuantizeArgs args = tested.args();
      set().quantize(args);
      for (int32_t i = 0; i < 8; ++i) {
        for (int32_t j = 0; j < 300; ++j) {
          const double smooth = is_smoothed ? tested.smooth[j] : 1;
          const double value = (tested.input.at(i, j) - static_cast<double>(args.floor)) * smooth;
          const double read = static_cast<double>(args.scales[i]) *
                              (tested.output.row(i)[j] - (is_symmetric ? kSymmetricZero : 0));
          // Half a step, and the roundings of values of up to 255 steps.
          ASSERT_NEAR(read, value, args.scales[i] * (0.5 + 255 * 4 * kFp32Rounding))
              << i << " " << j;
        }
      }
    }
  }
}

TEST_P(Int8Test, ANanTouchesNoOtherRowWhenQuantizing) {
  for (const bool is_symmetric : {true, false}) {
    std::mt19937 random(7), same(7);
    QuantizeCase tested(9, 384, is_symmetric, false, random);
    QuantizeCase broken(9, 384, is_symmetric, false, same);
    broken.input.set(4, 5, std::numeric_limits<double>::quiet_NaN());
    broken.input.set(4, 50, std::numeric_limits<double>::infinity());
    set().quantize(tested.args());
    set().quantize(broken.args());
    for (int32_t i = 0; i < 9; ++i) {
      if (i == 4) continue;
      ASSERT_EQ(std::memcmp(tested.output.row(i), broken.output.row(i), 384), 0) << i;
      ASSERT_EQ(tested.output.scales()[i], broken.output.scales()[i]) << i;
    }
  }
}

std::vector<const Int8KernelSet*> all_int8_sets() {
  std::vector<const Int8KernelSet*> sets;
  for (const Int8KernelSet& set : all_int8_kernel_sets()) sets.push_back(&set);
  return sets;
}

INSTANTIATE_TEST_SUITE_P(Sets, Int8Test, testing::ValuesIn(all_int8_sets()),
                         [](const auto& tested) {
                           return std::string(name_of(tested.param->isa));
                         });

}  // namespace
}  // namespace tilewise::kernels
