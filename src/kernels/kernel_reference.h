// What tests and `tilewise bench --kernels` share: matrices as the kernels want them, and every
// operation as a plain loop in fp64. Portable and slow. Throws std::bad_alloc where there is no
// memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/kernel_set.h"

namespace tilewise::kernels {

/// Rows of `columns` elements, fp32 or bf16, with 64-byte aligned rows, kRowSlack spare rows and
/// everything zero at first.
class Matrix {
 public:
  Matrix(int32_t rows, int32_t columns, model::Precision precision);

  Matrix copy() const;

  /// Rounds `value` to the element type.
  void set(int32_t row, int32_t column, double value);
  double at(int32_t row, int32_t column) const;

  void* row(int32_t i);
  const void* row(int32_t i) const;
  void* data() { return row(0); }
  int64_t stride() const { return stride_; }  ///< bytes
  int32_t rows() const { return rows_; }
  int32_t columns() const { return columns_; }
  model::Precision precision() const { return precision_; }

  /// Fills the rows, not the slack, with normal numbers.
  void fill(std::mt19937& random, double deviation = 1);
  /// Fills slack and padding with NaN, which no result may show.
  void poison_slack();

 private:
  int32_t rows_;
  int32_t columns_;
  model::Precision precision_;
  int64_t stride_;
  AlignedBuffer memory_;
};

/// Values that a kernel reads as an fp32 array of full vectors, 64-byte aligned.
class FloatArray {
 public:
  explicit FloatArray(int64_t size);
  float* data() { return reinterpret_cast<float*>(memory_.data()); }
  const float* data() const { return reinterpret_cast<const float*>(memory_.data()); }
  float& operator[](int64_t i) { return data()[i]; }
  void fill(std::mt19937& random, double mean, double deviation, int64_t count);

 private:
  AlignedBuffer memory_;
};

/// A linear layer of true sizes k and n with its packed weights.
class LinearLayer {
 public:
  LinearLayer(int32_t k, int32_t n, model::Precision precision, std::mt19937& random);

  int32_t k() const { return k_; }
  int32_t n() const { return n_; }
  int32_t padded_k() const;
  int32_t padded_n() const;
  double weight(int32_t column, int32_t i) const { return weights_[column * k_ + i]; }
  /// The k weights of a column.
  std::span<const float> weights(int32_t column) const {
    return {&weights_[static_cast<size_t>(column) * k_], static_cast<size_t>(k_)};
  }
  double bias(int32_t column) const { return bias_.data()[column]; }

  /// What a kernel needs to know of this layer; input and output are for the caller to add.
  LinearArgs args() const;

 private:
  int32_t k_;
  int32_t n_;
  model::Precision precision_;
  std::vector<float> weights_;  // as rounded to the precision
  AlignedBuffer packed_;
  FloatArray bias_;
};

/// A reference value with the sum of the absolute values that it was summed from, for error bounds.
struct Reference {
  double value = 0;
  double magnitude = 0;
};

/// x / 2 (1 + erf(x / sqrt 2))
double gelu_reference(double x);

/// bias + x W^T, before any activation.
Reference linear_reference(const LinearLayer& layer, const Matrix& input, int32_t row,
                           int32_t column);

/// The context of one token, head_dim values; magnitude is the weighted mean of |v|, and
/// `score_magnitude`, if given, receives the largest sum of |q k| and |bias| among its scores.
std::vector<Reference> attention_reference(const AttentionArgs& args, model::Precision precision,
                                           int32_t sequence, int32_t token, int32_t head,
                                           double* score_magnitude = nullptr);

/// LayerNorm of one row of values.
std::vector<double> norm_reference(std::span<const double> values, const float* gain,
                                   const float* bias, double epsilon);

}  // namespace tilewise::kernels
