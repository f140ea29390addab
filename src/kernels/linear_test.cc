#include "kernels/linear.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "kernels/kernel_reference.h"
#include "kernels/kernel_set_fixture.h"

namespace tilewise::kernels {
namespace {

using model::Precision;

class LinearTest : public KernelSetTest {
 protected:
  static Matrix run(const LinearLayer& layer, const Matrix& input, Fused fused, OutputType type,
                    const KernelSet& kernels = set()) {
    const Precision precision = type == OutputType::fp32 ? Precision::fp32 : kernels.precision;
    Matrix output(input.rows(), layer.padded_n(), precision);
    LinearArgs args = layer.args();
    args.input = input.row(0);
    args.input_stride = input.stride();
    args.output = output.data();
    args.output_stride = output.stride();
    args.rows = input.rows();
    args.fused = fused;
    args.output_type = type;
    kernels.linear(args);
    return output;
  }

  static Matrix random_input(int32_t rows, int32_t k, std::mt19937& random) {
    Matrix input(rows, k, set().precision);
    input.fill(random);
    input.poison_slack();
    return input;
  }

  /// Adding k products in any order errs by at most k roundings of the sum of their sizes (Higham
  /// 2002, 3.5); the two GELUs add what gelu-inl.h promises (their slope is under 1.13), and
  /// storing bf16 rounds once.
  static double tolerance(const Reference& reference, int32_t k, Fused fused, OutputType type) {
    double bound = (k + 2) * kFp32Rounding * reference.magnitude;
    double size = std::abs(reference.value);
    if (fused == Fused::gelu_erf)
      bound = 1.13 * bound + (is_bf16() ? 1e-4 : 2e-7 * std::max(1.0, size));
    if (type == OutputType::activation && is_bf16()) bound += kBf16Rounding * (size + bound);
    return bound + kFp32Rounding * size;
  }

  static void expect_right(const LinearLayer& layer, const Matrix& input, Fused fused,
                           OutputType type) {
    const Matrix output = run(layer, input, fused, type);
    for (int32_t i = 0; i < input.rows(); ++i) {
      for (int32_t j = 0; j < layer.n(); ++j) {
        const Reference reference = linear_reference(layer, input, i, j);
        const double expected =
            fused == Fused::gelu_erf ? gelu_reference(reference.value) : reference.value;
        ASSERT_NEAR(output.at(i, j), expected, tolerance(reference, layer.k(), fused, type))
            << "row " << i << " of " << input.rows() << ", column " << j << ", K " << layer.k()
            << ", N " << layer.n();
      }
      for (int32_t j = layer.n(); j < layer.padded_n(); ++j) {
        ASSERT_EQ(output.at(i, j), 0) << "padding column " << j << " of row " << i;
      }
    }
  }
};

TEST_P(LinearTest, EqualsAPlainLoop) {
  std::mt19937 random(1);
  const int32_t sizes[][3] = {{1, 384, 384}, {8, 384, 1536}, {12, 1536, 384}, {33, 100, 70},
                              {70, 7, 33},   {3, 1, 1},      {17, 1100, 288}, {5, 3072, 96}};
  for (const auto& [rows, k, n] : sizes) {
    const LinearLayer layer(k, n, set().precision, random);
    const Matrix input = random_input(rows, k, random);
    for (const Fused fused : {Fused::none, Fused::gelu_erf}) {
      for (const OutputType type : {OutputType::activation, OutputType::fp32}) {
        expect_right(layer, input, fused, type);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(LinearTest, EqualsAPlainLoopOnRandomShapes) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int repetition = 0; repetition < 20; ++repetition) {
    const int32_t k = std::uniform_int_distribution(1, 700)(random);
    const int32_t n = std::uniform_int_distribution(1, 200)(random);
    const LinearLayer layer(k, n, set().precision, random);
    const Matrix input = random_input(std::uniform_int_distribution(1, 40)(random), k, random);
    expect_right(layer, input, random() % 2 != 0 ? Fused::gelu_erf : Fused::none,
                 random() % 2 != 0 ? OutputType::fp32 : OutputType::activation);
    if (HasFatalFailure()) return;
  }
}

TEST_P(LinearTest, HeadsInFp32EqualAPlainLoop) {
  std::mt19937 random(2);
  const LinearLayer layer(384, 40, Precision::fp32, random);
  Matrix input(19, 384, Precision::fp32);
  input.fill(random);
  Matrix output(19, layer.padded_n(), Precision::fp32);
  LinearArgs args = layer.args();
  args.input = input.data();
  args.input_stride = input.stride();
  args.output = output.data();
  args.output_stride = output.stride();
  args.rows = input.rows();
  args.output_type = OutputType::fp32;
  set().linear_fp32(args);
  for (int32_t i = 0; i < input.rows(); ++i) {
    for (int32_t j = 0; j < layer.n(); ++j) {
      const Reference reference = linear_reference(layer, input, i, j);
      // As in tolerance().
      ASSERT_NEAR(output.at(i, j), reference.value, 386 * kFp32Rounding * reference.magnitude);
    }
  }
}

// Design decision 1: a row's result does not depend on how many rows there are, bit for bit.
TEST_P(LinearTest, ARowDoesNotDependOnTheOthers) {
  std::mt19937 random(3);
  const int32_t sizes[][2] = {{384, 96}, {1056, 320}};
  for (const auto& [k, n] : sizes) {
    const LinearLayer layer(k, n, set().precision, random);
    const Matrix input = random_input(300, k, random);
    for (const Fused fused : {Fused::none, Fused::gelu_erf}) {
      std::vector<Matrix> alone;
      for (int32_t i = 0; i < 300; ++i) {
        Matrix row(1, k, set().precision);
        std::memcpy(row.data(), input.row(i), static_cast<size_t>(input.stride()));
        alone.push_back(run(layer, row, fused, OutputType::activation));
      }
      for (int32_t rows = 1; rows <= 300; rows += rows < 70 ? 1 : 46) {
        Matrix part(rows, k, set().precision);
        std::memcpy(part.data(), input.row(0), static_cast<size_t>(rows * input.stride()));
        const Matrix output = run(layer, part, fused, OutputType::activation);
        const auto bytes = static_cast<size_t>(n) * (is_bf16() ? 2 : 4);
        for (int32_t i = 0; i < rows; ++i) {
          ASSERT_EQ(std::memcmp(output.row(i), alone[i].row(0), bytes), 0)
              << "row " << i << " of " << rows << ", K " << k;
        }
      }
    }
  }
}

TEST_P(LinearTest, ANanStaysInItsRow) {
  std::mt19937 random(4);
  const LinearLayer layer(384, 64, set().precision, random);
  Matrix input = random_input(40, 384, random);
  const Matrix clean = run(layer, input, Fused::gelu_erf, OutputType::activation);
  input.set(17, 5, std::numeric_limits<double>::quiet_NaN());
  const Matrix output = run(layer, input, Fused::gelu_erf, OutputType::activation);
  for (int32_t i = 0; i < 40; ++i) {
    for (int32_t j = 0; j < 64; ++j) {
      if (i == 17) {
        ASSERT_TRUE(std::isnan(output.at(i, j))) << j;
      } else {
        ASSERT_EQ(output.at(i, j), clean.at(i, j)) << i << " " << j;
      }
    }
  }
}

TEST_P(LinearTest, HugeSumsKeepTheTailsOfGelu) {
  std::mt19937 random(5);
  const LinearLayer layer(32, 32, set().precision, random);
  Matrix input(6, 32, set().precision);
  for (int32_t i = 0; i < 6; ++i) {
    for (int32_t j = 0; j < 32; ++j) input.set(i, j, std::pow(1e5, i) * ((j * 7 + i) % 5 - 2));
  }
  expect_right(layer, input, Fused::gelu_erf, OutputType::activation);
  expect_right(layer, input, Fused::gelu_erf, OutputType::fp32);
}

TILEWISE_FOR_ALL_KERNEL_SETS(LinearTest);

}  // namespace
}  // namespace tilewise::kernels
