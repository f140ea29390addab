// Memory for activations: 64-byte aligned, zeroed, on huge pages where the system has them.
#pragma once

#include <cstddef>

#include "base/status.h"

namespace tilewise {

/// Move-only owner of `size` zeroed bytes. Not thread-safe.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  /// Fails with unavailable_machine when the system has no memory left.
  static Result<AlignedBuffer> allocate(size_t size);

  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
  ~AlignedBuffer();

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace tilewise
