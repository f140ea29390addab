// Compresses output as it is written.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "rows/format.h"

namespace tilewise::rows {

/// Equal text gives equal bytes, however it is cut into calls: no times, no names. One for any
/// number of files, one after the other. Not thread-safe.
class Compressor {
 public:
  /// Errors: unavailable_machine (no memory).
  static Result<Compressor> create(Compression compression);
  Compressor(Compressor&&) noexcept;
  Compressor& operator=(Compressor&&) noexcept;
  ~Compressor();

  /// Takes `text`; appends to `out` what has been compressed by then.
  Status append(std::string_view text, std::string& out);

  /// Appends the rest, so that what was appended since create() or the last finish() is a whole
  /// file; the next append() begins another.
  Status finish(std::string& out);

 private:
  struct State;
  explicit Compressor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::rows
