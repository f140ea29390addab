// Undoes gzip (RFC 1952) and zstd (RFC 8878) piece by piece.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "base/status.h"
#include "rows/format.h"

namespace tilewise::rows {

/// One file's worth of data: any number of gzip members or zstd frames. Not thread-safe.
class Decompressor {
 public:
  /// `compression` is gzip or zstd; of zstd windows up to `window_bytes` are taken, and small ones
  /// always. Errors: unavailable_machine (no memory).
  static Result<std::unique_ptr<Decompressor>> create(Compression compression, size_t window_bytes);
  virtual ~Decompressor() = default;

  struct Step {
    size_t taken = 0;  ///< bytes of the input
    size_t given = 0;  ///< bytes of the output
  };

  /// Goes on with the bytes behind those that were taken. There may be more to give without any
  /// more input where the output was filled. Errors: invalid_input or, for too large a
  /// window, unsupported; without a place.
  virtual Result<Step> step(std::span<const char> input, std::span<char> output) = 0;

  /// Whether the data may end here.
  virtual bool is_whole() const = 0;
};

/// What a file that begins so is compressed with: none also where that cannot be said yet.
Compression detect_compression(std::string_view start);

/// Whether a few more bytes could make detect_compression() say something else.
bool may_become_compressed(std::string_view start);

}  // namespace tilewise::rows
