#include "kernels/int8_reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/pack.h"

namespace tilewise::kernels {
namespace {

AlignedBuffer allocate(int64_t bytes) {
  return AlignedBuffer::allocate(static_cast<size_t>(bytes)).value();
}

std::vector<int8_t> random_weights(int64_t count, std::mt19937& random) {
  std::vector<int8_t> weights(static_cast<size_t>(count));
  std::uniform_int_distribution<int> uniform(-127, 127);
  for (int8_t& weight : weights) weight = static_cast<int8_t>(uniform(random));
  return weights;
}

}  // namespace

Int8Layer::Int8Layer(int32_t k, int32_t n, const std::vector<int8_t>& weights)
    : k_(k),
      n_(n),
      weights_(weights),
      packed_(allocate(int64_t{padded_k()} * padded_n())),
      sums_(allocate(int64_t{padded_n()} * 4)),
      scales_(padded_n()),
      bias_(padded_n()) {
  const std::vector<std::byte> packed = pack_int8_panels(weights_, n, k);
  std::memcpy(packed_.data(), packed.data(), packed.size());
  auto* sums = reinterpret_cast<int32_t*>(sums_.data());
  for (int32_t column = 0; column < n; ++column) {
    for (int32_t i = 0; i < k; ++i) sums[column] += static_cast<int32_t>(weight(column, i));
    scales_[column] = 1;
  }
}

Int8Layer::Int8Layer(int32_t k, int32_t n, std::mt19937& random)
    : Int8Layer(k, n, random_weights(int64_t{k} * n, random)) {
  std::uniform_real_distribution<float> spread(0.5f, 2.0f);
  for (int32_t column = 0; column < n; ++column) {
    scales_[column] = spread(random) / (127 * std::sqrt(static_cast<float>(k)));
  }
  bias_.fill(random, 0, 0.3, n);
}

int32_t Int8Layer::padded_k() const {
  return static_cast<int32_t>(kernels::padded_k(k_, model::Precision::int8));
}
int32_t Int8Layer::padded_n() const { return static_cast<int32_t>(kernels::padded_n(n_)); }

Int8LinearArgs Int8Layer::args() const {
  Int8LinearArgs args;
  args.weights = packed_.data();
  args.weight_scales = scales_.data();
  args.column_sums = reinterpret_cast<const int32_t*>(sums_.data());
  args.bias = bias_.data();
  args.k = padded_k();
  args.n = padded_n();
  return args;
}

QuantizedRows::QuantizedRows(int32_t rows, int32_t columns)
    : rows_(rows),
      columns_(columns),
      stride_(round_up(columns, 64) + 64),
      memory_(allocate((rows + kRowSlack) * stride_)),
      scales_(rows + kRowSlack) {
  std::memset(memory_.data(), 0xa5, memory_.size());
  for (int32_t i = rows; i < rows + kRowSlack; ++i) scales_[i] = std::nanf("");
}

uint8_t* QuantizedRows::row(int32_t i) {
  return reinterpret_cast<uint8_t*>(memory_.data()) + i * stride_;
}
const uint8_t* QuantizedRows::row(int32_t i) const {
  return reinterpret_cast<const uint8_t*>(memory_.data()) + i * stride_;
}

void QuantizedRows::fill(std::mt19937& random) {
  std::uniform_int_distribution<int> uniform(0, 255);
  std::uniform_real_distribution<float> spread(0.5f, 2.0f);
  for (int32_t i = 0; i < rows_; ++i) {
    for (int32_t j = 0; j < columns_; ++j) row(i)[j] = static_cast<uint8_t>(uniform(random));
    scales_[i] = spread(random) / 127;
  }
}

Reference int8_linear_reference(const Int8Layer& layer, const QuantizedRows& input,
                                int32_t zero_point, int32_t row, int32_t column) {
  int64_t sum = 0;
  for (int32_t i = 0; i < layer.k(); ++i) {
    sum += (int64_t{input.row(row)[i]} - zero_point) * layer.weight(column, i);
  }
  const double scaled = static_cast<double>(sum) * static_cast<double>(input.scales().data()[row]) *
                        static_cast<double>(layer.scales().data()[column]);
  const double bias = layer.bias().data()[column];
  return {scaled + bias, std::abs(scaled) + std::abs(bias)};
}

QuantizedRow quantize_reference(const QuantizeArgs& args, int32_t row) {
  const auto* input = reinterpret_cast<const uint16_t*>(static_cast<const char*>(args.input) +
                                                        row * args.input_stride);
  std::vector<float> values(static_cast<size_t>(args.columns));
  float largest = 0;
  for (size_t k = 0; k < values.size(); ++k) {
    values[k] = from_bf16(input[k]) - args.floor;
    if (args.smooth != nullptr) values[k] *= args.smooth[k];
    largest = std::max(largest, args.is_symmetric ? std::abs(values[k]) : values[k]);
  }
  const float steps = args.is_symmetric ? 127 : 255;
  const int zero_point = args.is_symmetric ? kSymmetricZero : 0;
  QuantizedRow result{std::vector<uint8_t>(values.size(), static_cast<uint8_t>(zero_point)), 0};
  if (largest < kSmallestRange) return result;
  result.scale = largest / steps;
  const float inverse = steps / largest;
  for (size_t k = 0; k < values.size(); ++k) {
    const int rounded = static_cast<int>(std::nearbyint(values[k] * inverse)) + zero_point;
    result.bytes[k] = static_cast<uint8_t>(std::max(rounded, 0));
  }
  return result;
}

}  // namespace tilewise::kernels
