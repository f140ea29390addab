// Memory that is a file: what does not fit into memory goes to disk and comes back when touched.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "base/open_regular.h"
#include "base/status.h"

namespace tilewise::batch {

/// An unlinked temporary file, mapped for reading and writing; it is gone with its owner, however
/// that ends. Its pages belong to the page cache, so it does not count as anonymous memory. Not
/// thread-safe to resize.
class TemporaryMap {
 public:
  /// An empty one in `directory` (empty: $TMPDIR, or /tmp). Errors: io_error.
  static Result<TemporaryMap> create(const std::string& directory);
  TemporaryMap(TemporaryMap&& other) noexcept;
  TemporaryMap& operator=(TemporaryMap&& other) noexcept;
  ~TemporaryMap();

  /// Makes it `size` bytes long; new bytes are 0. The address changes. The room on disk is taken
  /// here, so that no later write can fail. Errors (nothing changes then): io_error where there is
  /// none.
  Status resize(size_t size);

  std::span<std::byte> bytes() { return {data_, size_}; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

  /// From now on it is read here and there: a page that is missing is read alone.
  void expect_random_reads();

 private:
  TemporaryMap(std::string directory, Descriptor file)
      : directory_(std::move(directory)), file_(std::move(file)) {}
  Status map(size_t size);

  std::string directory_;
  Descriptor file_;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace tilewise::batch
