#include "blocking/vectors.h"

#include <algorithm>
#include <cmath>

#include "kernels/linear.h"
#include "kernels/pack.h"

namespace tilewise::blocking {

Vectors::Vectors(int32_t width)
    : stride_(static_cast<int32_t>(kernels::padded_k(width, model::Precision::fp32))) {}

Status Vectors::append(std::span<const float> vector) {
  if (size_ == blocks_.size() * kBlockRows) {
    TILEWISE_ASSIGN_OR_RETURN(
        AlignedBuffer block,
        AlignedBuffer::allocate((kBlockRows + kernels::kRowSlack) * bytes_a_row()));
    blocks_.push_back(std::move(block));
  }
  double squares = 0;
  for (const float value : vector) squares += double{value} * value;
  const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
  auto* out = reinterpret_cast<float*>(blocks_.back().data()) +
              size_ % kBlockRows * static_cast<size_t>(stride_);
  std::transform(vector.begin(), vector.end(), out,
                 [scale](float value) { return static_cast<float>(value * scale); });
  ++size_;
  return {};
}

size_t Vectors::block_rows(size_t block) const {
  return std::min(kBlockRows, size_ - block * kBlockRows);
}

}  // namespace tilewise::blocking
