// XXH3-128 of what a job reads and writes: finds damage and change, not forgery.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

struct XXH3_state_s;

namespace tilewise::batch {

/// Not thread-safe.
class Hash {
 public:
  Hash();

  void append(std::string_view bytes);
  /// 32 lower-case hexadecimal digits: of all that was appended, as `xxh128sum` prints it.
  std::string hex() const;
  /// Starts anew.
  void reset();

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

/// Size and hash of a file.
struct FileRecord {
  int64_t bytes = 0;
  std::string hash;

  bool operator==(const FileRecord&) const = default;
};

/// Reads all of the file. Errors: not_found, io_error.
Result<FileRecord> record_of(const std::string& path);

}  // namespace tilewise::batch
