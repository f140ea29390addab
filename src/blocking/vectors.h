// The embeddings of a catalogue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/status.h"

namespace tilewise::blocking {

/// Vectors of length 1, fp32, as the linear kernels read them: rows of whole cache lines, zeros at
/// their ends. They lie in blocks, so that a growing catalogue is never copied. Reading is
/// thread-safe.
class Vectors {
 public:
  static constexpr size_t kBlockRows = 4096;

  explicit Vectors(int32_t width);

  /// Scales `vector` (width values) to length 1; zeros stay zeros. Errors: unavailable_machine when
  /// there is no memory.
  Status append(std::span<const float> vector);

  size_t size() const { return size_; }
  /// Values from one row to the next: the width, rounded up to 64 bytes.
  int32_t stride() const { return stride_; }
  /// `stride` values; the rows of a block follow each other, and kernels::kRowSlack spare ones
  /// follow its last.
  const float* row(size_t i) const {
    return reinterpret_cast<const float*>(blocks_[i / kBlockRows].data()) +
           i % kBlockRows * static_cast<size_t>(stride_);
  }

  size_t blocks() const { return blocks_.size(); }
  /// Rows of one block.
  size_t block_rows(size_t block) const;
  size_t bytes_a_row() const { return static_cast<size_t>(stride_) * sizeof(float); }

 private:
  int32_t stride_;
  size_t size_ = 0;
  std::vector<AlignedBuffer> blocks_;
};

}  // namespace tilewise::blocking
