// What tests and benchmarks of int8 kernels share: layers and quantised rows as the kernels want
// them, and both operations as plain loops.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/int8.h"
#include "kernels/kernel_reference.h"

namespace tilewise::kernels {

/// An int8 linear layer of true sizes k and n with its packed weights.
class Int8Layer {
 public:
  /// weights[column * k + i]
  Int8Layer(int32_t k, int32_t n, const std::vector<int8_t>& weights);
  /// Any weights from -127 to 127, scales near 1 / (127 sqrt k), and biases.
  Int8Layer(int32_t k, int32_t n, std::mt19937& random);

  int32_t k() const { return k_; }
  int32_t n() const { return n_; }
  int32_t padded_k() const;
  int32_t padded_n() const;
  int64_t weight(int32_t column, int32_t i) const { return weights_[column * k_ + i]; }
  FloatArray& scales() { return scales_; }
  FloatArray& bias() { return bias_; }
  const FloatArray& scales() const { return scales_; }
  const FloatArray& bias() const { return bias_; }

  /// What a kernel needs to know of this layer; input and output are for the caller to add.
  Int8LinearArgs args() const;

 private:
  int32_t k_;
  int32_t n_;
  std::vector<int8_t> weights_;
  AlignedBuffer packed_;
  AlignedBuffer sums_;
  FloatArray scales_;
  FloatArray bias_;
};

/// Rows of bytes with a scale each, and kRowSlack rows beyond; padding and slack hold arbitrary
/// bytes.
class QuantizedRows {
 public:
  QuantizedRows(int32_t rows, int32_t columns);

  uint8_t* row(int32_t i);
  const uint8_t* row(int32_t i) const;
  FloatArray& scales() { return scales_; }
  const FloatArray& scales() const { return scales_; }
  int32_t rows() const { return rows_; }
  int32_t columns() const { return columns_; }
  int64_t stride() const { return stride_; }

  /// Any bytes, and scales near 1 / 127.
  void fill(std::mt19937& random);

 private:
  int32_t rows_;
  int32_t columns_;
  int64_t stride_;
  AlignedBuffer memory_;
  FloatArray scales_;
};

/// The result before any activation, with the integer sum exact.
Reference int8_linear_reference(const Int8Layer& layer, const QuantizedRows& input,
                                int32_t zero_point, int32_t row, int32_t column);

/// The bytes of one row and its scale, as QuantizeArgs defines them.
struct QuantizedRow {
  std::vector<uint8_t> bytes;
  float scale = 0;
};
QuantizedRow quantize_reference(const QuantizeArgs& args, int32_t row);

}  // namespace tilewise::kernels
