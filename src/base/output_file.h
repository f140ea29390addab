// A file that appears whole or not at all: written beside its final name, synced, then renamed over it.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace tilewise {

/// Buffered writer. Unless commit() succeeds, nothing is left behind under the final name and the temporary file is
/// removed. Not thread-safe.
class OutputFile {
 public:
  /// Creates `path` + ".tmp-XXXXXX" in the same directory.
  static Result<OutputFile> create(const std::string& path);

  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  /// Appends; io_error names the path and the system's reason (disk full...).
  Status write(std::string_view text);
  Status write(std::span<const std::byte> bytes);

  /// Flushes, fsyncs, renames, fsyncs the directory.
  Status commit();

  /// Bytes accepted so far.
  size_t size() const { return size_; }

 private:
  OutputFile(std::string path, std::string temporary, int descriptor);
  Status flush();
  Status fail(int error);
  void abandon();

  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
  std::string buffer_;
  size_t size_ = 0;
};

}  // namespace tilewise
