#include "compile/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include <gmock/gmock.h>

#include "base/aligned_buffer.h"
#include "kernels/int8_kernel_set.h"
#include "kernels/pack.h"

namespace tilewise::compile {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

model::LinearWeights layer_of(int64_t outputs, std::vector<float> weights,
                              std::vector<float> bias) {
  const auto inputs = static_cast<int64_t>(weights.size()) / outputs;
  return {{{outputs, inputs}, std::move(weights)}, {{outputs}, std::move(bias)}};
}

model::LinearWeights random_layer(int64_t outputs, int64_t inputs, std::mt19937& random) {
  std::normal_distribution<float> normal(0.0f, 0.05f);
  std::vector<float> weights(static_cast<size_t>(outputs * inputs));
  std::vector<float> bias(static_cast<size_t>(outputs));
  for (float& weight : weights) weight = normal(random);
  for (float& value : bias) value = normal(random);
  return layer_of(outputs, std::move(weights), std::move(bias));
}

std::vector<float> random_powers_of_two(size_t count, std::mt19937& random) {
  std::uniform_int_distribution<int> exponent(-4, 4);
  std::vector<float> values(count);
  for (float& value : values) value = std::ldexp(1.0f, exponent(random));
  return values;
}

// By hand: the scale is 1, so 2.5 and -0.5 lie between two steps and go to the even one.
TEST(QuantizeTest, RoundsToNearestEven) {
  const Int8Linear found = quantize(layer_of(1, {127, 2.5, -0.5, 3.5, -127}, {4}), {});
  EXPECT_THAT(found.scales, ElementsAre(1.0f));
  EXPECT_THAT(found.weights, ElementsAre(127, 2, 0, 4, -127));
  EXPECT_THAT(found.sums, ElementsAre(6));
  EXPECT_THAT(found.bias, ElementsAre(4.0f));
}

// By hand: 100 weights of +-80.5 steps of the largest, 1.27 = 127 steps: without clipping each of
// them is off by half a step.
TEST(QuantizeTest, ClipsAnOutlierWhereThatIsLessError) {
  std::vector<float> weights(1000, 0.805f);
  weights[0] = 1.27f;
  const Int8Linear found = quantize(layer_of(1, weights, {0}), {});
  EXPECT_LT(found.scales[0], 0.00999f);
  EXPECT_EQ(found.weights[0], 127);
  EXPECT_NEAR(found.scales[0] * static_cast<float>(found.weights[1]), 0.805, 0.001);
}

TEST(QuantizeTest, RowsOfZerosAndOfTheSmallestNumbers) {
  const float tiny = std::numeric_limits<float>::denorm_min();
  const Int8Linear found =
      quantize(layer_of(3, {0, 0, tiny, -tiny, 1e-30f, 1e-31f}, {1, 2, 3}), {});
  EXPECT_EQ(found.scales[0], 0);
  EXPECT_THAT(std::vector(found.weights.begin(), found.weights.begin() + 2), Each(0));
  EXPECT_EQ(found.scales[1], 0);  // a 127th of it is no number any more
  EXPECT_NEAR(found.scales[2] * found.weights[4] * 1e30, 1, 0.01);
  EXPECT_THAT(found.bias, ElementsAre(1, 2, 3));
}

/// Least squared error of a row over the clips, by loops of its own.
double least_error(std::span<const float> row) {
  double largest = 0;
  for (const float weight : row) largest = std::max(largest, std::abs(double{weight}));
  double least = HUGE_VAL;
  for (int clip = 800; clip <= 1000; clip += 25) {
    const double scale = static_cast<float>(clip / 1000.0 * largest / 127);
    double error = 0;
    for (const float weight : row) {
      const double steps = std::min(127.0, std::max(-127.0, std::nearbyint(weight / scale)));
      error += std::pow(weight - steps * scale, 2);
    }
    least = std::min(least, error);
  }
  return least;
}

TEST(QuantizeTest, LeavesTheLeastErrorOfAllClips) {
  std::mt19937 random(1);
  const auto layer = random_layer(40, 96, random);
  const Int8Linear found = quantize(layer, {});
  for (size_t output = 0; output < 40; ++output) {
    const std::span<const float> row(layer.weight.values.data() + output * 96, 96);
    double error = 0;
    int32_t sum = 0;
    for (size_t i = 0; i < 96; ++i) {
      const double weight = double{found.scales[output]} * found.weights[output * 96 + i];
      error += std::pow(double{row[i]} - weight, 2);
      sum += found.weights[output * 96 + i];
      EXPECT_NE(found.weights[output * 96 + i], -128);
    }
    EXPECT_NEAR(error, least_error(row), 1e-12 * error);
    EXPECT_EQ(found.sums[output], sum);
  }
}

// Powers of two change no digit: what quantises without loss is the same with smoothing and
// without.
TEST(QuantizeTest, SmoothingKeepsTheProduct) {
  std::mt19937 random(2);
  const std::vector<float> smooth = random_powers_of_two(64, random);
  std::vector<float> weights(64);
  for (size_t i = 0; i < 64; ++i) {
    weights[i] = static_cast<float>(static_cast<int>(i * 37 % 255) - 127) * smooth[i] / 1024;
  }
  weights[5] = 127 * smooth[5] / 1024;
  const Int8Linear found = quantize(layer_of(1, weights, {0}), {.smooth = smooth, .floor = {}});
  EXPECT_EQ(dequantize(found), weights);
  double plain = 0;
  double smoothed = 0;
  for (size_t i = 0; i < 64; ++i) {
    const double x = std::sin(static_cast<double>(i));
    plain += x * weights[i];
    smoothed += x * smooth[i] * (double{found.scales[0]} * found.weights[i]);
  }
  EXPECT_EQ(plain, smoothed);
}

TEST(QuantizeTest, TheFloorMovesIntoTheBias) {
  std::mt19937 random(3);
  const auto layer = random_layer(33, 72, random);
  for (const bool is_smoothed : {false, true}) {
    InputQuantization input{.smooth = {}, .floor = -0.17f};
    if (is_smoothed) input.smooth = random_powers_of_two(72, random);
    const Int8Linear found = quantize(layer, input);
    const std::vector<float> weights = dequantize(found);
    for (size_t output = 0; output < 33; ++output) {
      double bias = layer.bias.values[output];
      for (size_t i = 0; i < 72; ++i) bias += double{-0.17f} * weights[output * 72 + i];
      EXPECT_NEAR(found.bias[output], bias, 1e-6);  // fp32: |bias| < 1
    }
  }
}

TEST(QuantizeTest, SmoothingFactorsAreTheNearestPowersOfTwo) {
  std::mt19937 random(4);
  std::uniform_real_distribution<double> exponent(-20, 20);
  std::vector<float> input_max(200);
  std::vector<float> weights(400);
  for (float& value : input_max) value = static_cast<float>(std::exp2(exponent(random)));
  for (float& weight : weights) weight = static_cast<float>(-std::exp2(exponent(random)));
  input_max[3] = 0;
  weights[7] = weights[207] = 0;
  for (const int quarters : {1, 2, 3}) {
    const double alpha = quarters / 4.0;
    const auto found = smoothing_factors(input_max, {{2, 200}, weights}, quarters);
    for (size_t i = 0; i < 200; ++i) {
      if (i == 3 || i == 7) {
        EXPECT_EQ(found[i], 1);
        continue;
      }
      const double weight_max = std::max(std::abs(weights[i]), std::abs(weights[200 + i]));
      const double due = std::pow(weight_max, 1 - alpha) / std::pow(input_max[i], alpha);
      EXPECT_EQ(found[i], std::exp2(std::round(std::log2(due)))) << i;
    }
  }
}

TEST(QuantizeTest, NoActivationLiesUnderItsFloor) {
  const double root = std::sqrt(2 / std::acos(-1.0));
  for (double x = -10; x < 10; x += 1e-4) {
    const double erf = 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    const double tanh = 0.5 * x * (1 + std::tanh(root * (x + 0.044715 * x * x * x)));
    // As the kernels leave it: bf16 of a value within 1e-4.
    const auto stored = [](double y) {
      return kernels::from_bf16(kernels::to_bf16(static_cast<float>(y - 1e-4)));
    };
    ASSERT_GE(stored(erf), *floor_of(model::Activation::gelu_erf)) << x;
    ASSERT_GE(stored(tanh), *floor_of(model::Activation::gelu_tanh)) << x;
  }
  EXPECT_EQ(floor_of(model::Activation::relu), 0);
  EXPECT_EQ(floor_of(model::Activation::tanh), std::nullopt);
}

/// A layer as the kernels for every processor run it, over rows of bf16.
class KernelRun {
 public:
  KernelRun(const Int8Linear& layer, int64_t outputs, int64_t inputs)
      : set_(kernels::all_int8_kernel_sets().back()),
        k_(kernels::padded_k(inputs, model::Precision::int8)),
        n_(kernels::padded_n(outputs)),
        inputs_(inputs),
        layer_(layer),
        panels_(kernels::pack_int8_panels(layer.weights, outputs, inputs)) {}

  /// [rows, n], and what the rows quantised to.
  std::vector<float> run(const std::vector<float>& rows) {
    const int64_t count = static_cast<int64_t>(rows.size()) / inputs_;
    std::byte* input = take(count * k_ * 2);
    std::byte* output = take((count + kernels::kRowSlack) * n_ * 2);
    auto* quantized = reinterpret_cast<uint8_t*>(take((count + kernels::kRowSlack) * k_));
    auto* scales = reinterpret_cast<float*>(take((count + kernels::kRowSlack) * 4));
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t i = 0; i < inputs_; ++i) {
        const uint16_t value = kernels::to_bf16(rows[static_cast<size_t>(r * inputs_ + i)]);
        std::memcpy(input + (r * k_ + i) * 2, &value, 2);
      }
    }
    const bool is_symmetric = !layer_.input.floor;
    set_.quantize(
        {.input = input,
         .input_stride = k_ * 2,
         .smooth = layer_.input.smooth.empty() ? nullptr : padded(layer_.input.smooth, k_),
         .is_symmetric = is_symmetric,
         .floor = layer_.input.floor.value_or(0),
         .output = quantized,
         .output_stride = k_,
         .scales = scales,
         .rows = static_cast<int32_t>(count),
         .columns = static_cast<int32_t>(inputs_)});
    std::byte* panels = take(static_cast<int64_t>(panels_.size()));
    std::ranges::copy(panels_, panels);
    set_.begin_pass();
    set_.linear({.input = quantized,
                 .input_stride = k_,
                 .input_scales = scales,
                 .zero_point = is_symmetric ? kernels::kSymmetricZero : 0,
                 .weights = panels,
                 .weight_scales = padded(layer_.scales, n_),
                 .column_sums = padded(layer_.sums, n_),
                 .bias = padded(layer_.bias, n_),
                 .output = output,
                 .output_stride = n_ * 2,
                 .rows = static_cast<int32_t>(count),
                 .k = static_cast<int32_t>(k_),
                 .n = static_cast<int32_t>(n_)});
    set_.end_pass();
    std::vector<float> result;
    for (int64_t at = 0; at < count * n_; ++at) {
      uint16_t value = 0;
      std::memcpy(&value, output + at * 2, 2);
      result.push_back(kernels::from_bf16(value));
    }
    return result;
  }

  int64_t stride() const { return n_; }

 private:
  std::byte* take(int64_t bytes) {
    auto buffer = AlignedBuffer::allocate(static_cast<size_t>(bytes));
    buffers_.push_back(std::move(*buffer));
    return buffers_.back().data();
  }

  template <class T>
  const T* padded(const std::vector<T>& values, int64_t count) {
    std::byte* place = take(count * static_cast<int64_t>(sizeof(T)));
    std::memcpy(place, values.data(), values.size() * sizeof(T));
    return reinterpret_cast<const T*>(place);
  }

  const kernels::Int8KernelSet& set_;
  int64_t k_;
  int64_t n_;
  int64_t inputs_;
  const Int8Linear& layer_;
  std::vector<std::byte> panels_;
  std::vector<AlignedBuffer> buffers_;
};

// The kernels over the stored tensors against fp64 sums over what calibration takes for them: so
// the error that it reports is the error that the model has.
TEST(QuantizeTest, TheKernelsComputeWhatCalibrationMeasures) {
  constexpr size_t kOutputs = 40;
  constexpr size_t kInputs = 72;
  constexpr size_t kRows = 5;
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (const bool has_floor : {false, true}) {
    for (const bool is_smoothed : {false, true}) {
      SCOPED_TRACE(::testing::Message() << "floor " << has_floor << ", smoothed " << is_smoothed);
      const auto layer = random_layer(kOutputs, kInputs, random);
      InputQuantization input;
      if (has_floor) input.floor = -0.17f;
      if (is_smoothed) input.smooth = random_powers_of_two(kInputs, random);
      const Int8Linear quantized = quantize(layer, input);
      std::vector<float> rows(kRows * kInputs);
      for (float& value : rows) {
        value = normal(random);
        if (has_floor) value = std::max(value, -0.16f);
        value = kernels::from_bf16(kernels::to_bf16(value));
      }
      KernelRun run(quantized, kOutputs, kInputs);
      const std::vector<float> found = run.run(rows);
      const std::vector<float> weights = dequantize(quantized);
      for (size_t r = 0; r < kRows; ++r) {
        std::span<float> row(rows.data() + r * kInputs, kInputs);
        quantize_and_back(row, input);
        for (size_t output = 0; output < kOutputs; ++output) {
          double due = layer.bias.values[output];
          double size = std::abs(due);
          for (size_t i = 0; i < kInputs; ++i) {
            due += double{row[i]} * weights[output * kInputs + i];
            size += std::abs(double{row[i]} * weights[output * kInputs + i]);
          }
          // bf16 of the result, and fp32 roundings of terms that may cancel.
          const double tolerance = std::abs(due) * 0x1p-8 + size * 0x1p-20;
          EXPECT_NEAR(found[r * static_cast<size_t>(run.stride()) + output], due, tolerance);
        }
      }
    }
  }
}

}  // namespace
}  // namespace tilewise::compile
