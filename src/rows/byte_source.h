// The bytes of one input as its writer meant them: gzip and zstd are undone, whatever the name of
// the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"

namespace tilewise::rows {

/// Whether the bytes of inputs are hashed as they are read.
enum class Hashing : bool { none, sha256 };

/// The largest window of zstd data that is taken, in bytes: what its own tools take unasked.
inline constexpr size_t kMostWindowBytes = size_t{128} << 20;

/// Streams a file or standard input with bounded memory: for zstd about the window that its data
/// was made with, of `window_bytes` at most. Not thread-safe.
class ByteSource {
 public:
  /// `path` "-" is standard input. Errors: not_found, io_error.
  static Result<ByteSource> open(const std::string& path, Hashing hashing,
                                 size_t window_bytes = kMostWindowBytes);
  ByteSource(ByteSource&&) noexcept;
  ByteSource& operator=(ByteSource&&) noexcept;
  ~ByteSource();

  /// Whether read() would return without waiting for a writer; waits for that up to `timeout_ms`.
  bool is_ready(int timeout_ms) const;

  /// Puts bytes into `buffer` (at least 1 KB long) and says how many. Asks the system once at most,
  /// so it may give none although more will come: at_end() tells. Errors: io_error; unsupported
  /// where the window would be larger; invalid_input where compressed data is broken or ends too
  /// early; with the offset.
  Result<size_t> read(std::span<char> buffer);

  bool at_end() const;

  /// Bytes of the file, as stored, that have been read so far.
  int64_t stored_bytes() const;

  /// SHA-256 of the file, as stored, in lower-case hexadecimal; complete at_end(). Empty without
  /// hashing.
  std::string sha256() const;

 private:
  struct State;
  explicit ByteSource(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::rows
