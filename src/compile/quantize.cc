#include "compile/quantize.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tilewise::compile {
namespace {

constexpr double kLargestWeight = 127;

/// Shares of the largest weight that may become 127. Clipping outliers makes the steps of all other
/// weights finer.
constexpr double kClips[] = {1.0, 0.975, 0.95, 0.925, 0.9, 0.875, 0.85, 0.825, 0.8};

/// To nearest, ties to even, for |value| < 2^51: a library call an element would be slow.
double rounded(double value) {
  constexpr double kShift = 0x1.8p52;
  return (value + kShift) - kShift;
}

double quantized(double weight, double scale) {
  return std::clamp(rounded(weight / scale), -kLargestWeight, kLargestWeight);
}

double squared_error(std::span<const double> weights, double scale) {
  double sum = 0;
  for (const double weight : weights) {
    const double difference = weight - scale * quantized(weight, scale);
    sum += difference * difference;
  }
  return sum;
}

/// 0 for weights that are all 0.
float best_scale(std::span<const double> weights) {
  double largest = 0;
  for (const double weight : weights) largest = std::max(largest, std::abs(weight));
  float best = 0;
  double least = HUGE_VAL;
  for (const double clip : kClips) {
    // Rounded to fp32 before it is used: the error is that of the scale that is stored.
    const auto scale = static_cast<float>(clip * largest / kLargestWeight);
    if (scale == 0) break;
    const double error = squared_error(weights, scale);
    if (error < least) least = error, best = scale;
  }
  return best;
}

/// The exponent e for which 2^e is nearest, in proportion, to the fourth root of `value`.
int exponent_of_fourth_root(double value) {
  int exponent = 0;
  std::frexp(value, &exponent);  // value = m 2^exponent with m in [0.5, 1)
  // 2^(4e - 2) <= value < 2^(4e + 2)
  return static_cast<int>(std::floor((exponent - 1 + 2) / 4.0));
}

}  // namespace

Int8Linear quantize(const model::LinearWeights& linear, InputQuantization input) {
  const auto outputs = static_cast<size_t>(linear.weight.shape[0]);
  const auto inputs = static_cast<size_t>(linear.weight.shape[1]);
  const auto smooth = [&](size_t i) { return input.smooth.empty() ? 1.0 : input.smooth[i]; };
  Int8Linear result;
  result.weights.resize(outputs * inputs);
  std::vector<double> row(inputs);
  for (size_t output = 0; output < outputs; ++output) {
    const float* source = linear.weight.values.data() + output * inputs;
    for (size_t i = 0; i < inputs; ++i) row[i] = source[i] / smooth(i);
    const float scale = best_scale(row);
    int32_t sum = 0;
    double weight_sum = 0;
    for (size_t i = 0; i < inputs && scale > 0; ++i) {
      const auto weight = static_cast<int8_t>(quantized(row[i], scale));
      result.weights[output * inputs + i] = weight;
      sum += weight;
      weight_sum += weight * smooth(i);
    }
    result.scales.push_back(scale);
    result.sums.push_back(sum);
    result.bias.push_back(static_cast<float>(linear.bias.values[output] +
                                             input.floor.value_or(0) * (weight_sum * scale)));
  }
  result.input = std::move(input);
  return result;
}

std::vector<float> dequantize(const Int8Linear& linear) {
  const size_t outputs = linear.scales.size();
  const size_t inputs = linear.weights.size() / outputs;
  const auto& smooth = linear.input.smooth;
  std::vector<float> weights(linear.weights.size());
  for (size_t output = 0; output < outputs; ++output) {
    for (size_t i = 0; i < inputs; ++i) {
      const size_t at = output * inputs + i;
      weights[at] = linear.scales[output] * static_cast<float>(linear.weights[at]) *
                    (smooth.empty() ? 1.0f : smooth[i]);
    }
  }
  return weights;
}

std::optional<float> floor_of(model::Activation activation) {
  switch (activation) {
    case model::Activation::gelu_erf:
      return -0.17f;  // its minimum is -0.16997, and no bf16 lies between
    case model::Activation::gelu_tanh:
      return -0.171f;  // -0.17004; as bf16 -0.1699 or -0.1709
    case model::Activation::relu:
      return 0.0f;
    case model::Activation::identity:
    case model::Activation::tanh:
      return std::nullopt;
  }
  return std::nullopt;
}

std::vector<float> smoothing_factors(std::span<const float> input_max, const model::Tensor& weights,
                                     int quarters) {
  const size_t inputs = input_max.size();
  std::vector<float> weight_max(inputs);
  for (size_t at = 0; at < weights.values.size(); ++at) {
    weight_max[at % inputs] = std::max(weight_max[at % inputs], std::abs(weights.values[at]));
  }
  std::vector<float> factors(inputs, 1.0f);
  for (size_t i = 0; i < inputs; ++i) {
    if (input_max[i] == 0 || weight_max[i] == 0) continue;
    double power = 1;  // of the factor, to the 4th
    for (int q = 0; q < quarters; ++q) power /= input_max[i];
    for (int q = quarters; q < 4; ++q) power *= weight_max[i];
    factors[i] = static_cast<float>(std::ldexp(1.0, exponent_of_fourth_root(power)));
  }
  return factors;
}

void quantize_and_back(std::span<float> row, const InputQuantization& input) {
  const bool is_smoothed = !input.smooth.empty();
  const bool is_symmetric = !input.floor;
  const float floor = input.floor.value_or(0);
  float largest = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    row[i] -= floor;
    if (is_smoothed) row[i] *= input.smooth[i];
    largest = std::max(largest, is_symmetric ? std::abs(row[i]) : row[i]);
  }
  const float most = is_symmetric ? 127.0f : 255.0f;
  const float scale = largest / most;
  const float inverse = largest > 0 ? most / largest : 0.0f;
  constexpr float kShift = 0x1.8p23f;  // rounds as above, for |value| < 2^22
  for (size_t i = 0; i < row.size(); ++i) {
    const float nearest = (row[i] * inverse + kShift) - kShift;
    row[i] = scale * (is_symmetric ? nearest : std::max(nearest, 0.0f));
    if (is_smoothed) row[i] /= input.smooth[i];
    row[i] += floor;
  }
}

}  // namespace tilewise::compile
