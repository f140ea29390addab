#include "kernels/kernel_reference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "kernels/pack.h"

namespace tilewise::kernels {

using model::Precision;

namespace {

double element_at(const void* row, int64_t column, Precision precision) {
  if (precision == Precision::fp32) return static_cast<const float*>(row)[column];
  return from_bf16(static_cast<const uint16_t*>(row)[column]);
}

void set_element(void* row, int64_t column, Precision precision, double value) {
  const auto narrowed = static_cast<float>(value);
  if (precision == Precision::fp32) {
    static_cast<float*>(row)[column] = narrowed;
  } else {
    static_cast<uint16_t*>(row)[column] = to_bf16(narrowed);
  }
}

AlignedBuffer allocate(int64_t bytes) {
  auto buffer = AlignedBuffer::allocate(static_cast<size_t>(bytes));
  if (!buffer.ok()) throw std::bad_alloc();
  return std::move(*buffer);
}

}  // namespace

Matrix::Matrix(int32_t rows, int32_t columns, Precision precision)
    : rows_(rows),
      columns_(columns),
      precision_(precision),
      stride_(round_up(columns * static_cast<int64_t>(element_bytes(precision)), 64) + 64),
      memory_(allocate((rows + kRowSlack) * stride_)) {}

Matrix Matrix::copy() const {
  Matrix other(rows_, columns_, precision_);
  std::memcpy(other.memory_.data(), memory_.data(), memory_.size());
  return other;
}

void* Matrix::row(int32_t i) { return memory_.data() + i * stride_; }
const void* Matrix::row(int32_t i) const { return memory_.data() + i * stride_; }

void Matrix::set(int32_t row_index, int32_t column, double value) {
  set_element(row(row_index), column, precision_, value);
}

double Matrix::at(int32_t row_index, int32_t column) const {
  return element_at(row(row_index), column, precision_);
}

void Matrix::fill(std::mt19937& random, double deviation) {
  std::normal_distribution<double> normal(0, deviation);
  for (int32_t i = 0; i < rows_; ++i) {
    for (int32_t j = 0; j < columns_; ++j) set(i, j, normal(random));
  }
}

void Matrix::poison_slack() {
  for (int32_t i = rows_; i < rows_ + kRowSlack; ++i) {
    for (int32_t j = 0; j < columns_; ++j) set(i, j, std::numeric_limits<double>::quiet_NaN());
  }
}

FloatArray::FloatArray(int64_t size) : memory_(allocate(round_up(size, 32) * 4)) {}

void FloatArray::fill(std::mt19937& random, double mean, double deviation, int64_t count) {
  std::normal_distribution<double> normal(mean, deviation);
  for (int64_t i = 0; i < count; ++i) data()[i] = static_cast<float>(normal(random));
}

LinearLayer::LinearLayer(int32_t k, int32_t n, Precision precision, std::mt19937& random)
    : k_(k), n_(n), precision_(precision), weights_(static_cast<size_t>(k) * n), bias_(n) {
  std::normal_distribution<double> normal(0, 1 / std::sqrt(static_cast<double>(k)));
  for (float& weight : weights_) {
    weight = static_cast<float>(normal(random));
    if (precision == Precision::bf16) weight = from_bf16(to_bf16(weight));
  }
  const auto packed = pack_panels(weights_, n, k, precision);
  packed_ = allocate(static_cast<int64_t>(packed.size()));
  std::memcpy(packed_.data(), packed.data(), packed.size());
  bias_.fill(random, 0, 1, n);
}

int32_t LinearLayer::padded_k() const {
  return static_cast<int32_t>(kernels::padded_k(k_, precision_));
}
int32_t LinearLayer::padded_n() const { return static_cast<int32_t>(kernels::padded_n(n_)); }

LinearArgs LinearLayer::args() const {
  return {.weights = packed_.data(), .bias = bias_.data(), .k = padded_k(), .n = padded_n()};
}

double gelu_reference(double x) { return 0.5 * x * std::erfc(-x * std::sqrt(0.5)); }

Reference linear_reference(const LinearLayer& layer, const Matrix& input, int32_t row,
                           int32_t column) {
  Reference result{layer.bias(column), std::abs(layer.bias(column))};
  for (int32_t i = 0; i < layer.k(); ++i) {
    const double product = input.at(row, i) * layer.weight(column, i);
    result.value += product;
    result.magnitude += std::abs(product);
  }
  return result;
}

std::vector<Reference> attention_reference(const AttentionArgs& args, Precision precision,
                                           int32_t sequence, int32_t token, int32_t head,
                                           double* score_magnitude) {
  const int32_t first = args.offsets[sequence];
  const int32_t tokens = args.offsets[sequence + 1] - first;
  const auto element = [&](int32_t part, int32_t t, int32_t i) {
    const auto* row = static_cast<const std::byte*>(args.qkv) + (first + t) * args.qkv_stride;
    return element_at(row, static_cast<int64_t>(part) * args.section + head * args.head_dim + i,
                      precision);
  };
  // What lies outside of the window keeps the score of minus infinity.
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  std::vector<double> weights(static_cast<size_t>(tokens), kNever);
  double most = kNever, largest = 0;
  for (int32_t t = 0; t < tokens; ++t) {
    if (args.window > 0 && std::abs(t - token) > args.window) continue;
    double score = 0;
    if (args.relative_bias != nullptr) {
      score = args.relative_bias[head * args.relative_bias_stride + t - token];
    }
    double magnitude = std::abs(score);
    for (int32_t i = 0; i < args.head_dim; ++i) {
      const double product = element(0, token, i) * element(1, t, i);
      score += product;
      magnitude += std::abs(product);
    }
    weights[t] = score;
    most = std::max(most, score);
    largest = std::max(largest, magnitude);
  }
  double sum = 0;
  for (double& weight : weights) sum += weight = std::exp2(weight - most);
  std::vector<Reference> context(static_cast<size_t>(args.head_dim));
  for (int32_t i = 0; i < args.head_dim; ++i) {
    for (int32_t t = 0; t < tokens; ++t) {
      const double part = weights[t] / sum * element(2, t, i);
      context[i].value += part;
      context[i].magnitude += std::abs(part);
    }
  }
  if (score_magnitude != nullptr) *score_magnitude = largest;
  return context;
}

std::vector<double> norm_reference(std::span<const double> values, const float* gain,
                                   const float* bias, double epsilon) {
  const auto count = static_cast<double>(values.size());
  double mean = 0, variance = 0;
  for (const double value : values) mean += value / count;
  for (const double value : values) variance += (value - mean) * (value - mean) / count;
  std::vector<double> result(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    result[i] = (values[i] - mean) / std::sqrt(variance + epsilon) * gain[i] + bias[i];
  }
  return result;
}

}  // namespace tilewise::kernels
