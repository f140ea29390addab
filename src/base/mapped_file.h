// A file mapped read-only into memory: loaded by touching it, shared between processes through the page cache.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/status.h"

namespace tilewise {

/// Move-only owner of a mapping. The bytes stay valid and at the same address for its lifetime, also after a move.
/// Thread-safe to read.
class MappedFile {
 public:
  /// Fails with not_found, or io_error for what cannot be read (a directory, no permission).
  /// An empty file gives an empty span.
  static Result<MappedFile> open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

  /// This process does not need this part of bytes() in memory for now: its whole pages no longer
  /// count as the process's and are read again when they are touched.
  void release(std::span<const std::byte> part) const;

 private:
  MappedFile(std::string path, const std::byte* data, size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}

  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// The whole file as a string; for small files (JSON). Fails like MappedFile::open, and with invalid_input
/// above `max_bytes`.
Result<std::string> read_file(const std::string& path, size_t max_bytes = size_t{256} << 20);

}  // namespace tilewise
