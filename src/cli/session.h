// What a run of the program has at hand: standard output for data, standard error for people.
#pragma once

#include <functional>
#include <string_view>

#include "base/status.h"

namespace tilewise::cli {

/// Standard output, unbuffered: what was written is out. Not thread-safe.
class StandardOutput {
 public:
  /// Errors: io_error (disk full...), or `interrupted` when the reader at the other end is gone;
  /// later calls then do nothing.
  Status write(std::string_view text);

  /// Nobody reads any more ("tilewise ... | head"): the end of the work, but not a failure.
  bool reader_is_gone() const { return reader_is_gone_; }

 private:
  bool reader_is_gone_ = false;
};

struct Session {
  StandardOutput out;
  bool informs = true;  ///< progress and summaries are wanted (--log-level info or debug)
};

/// A verb once its flags have been read. Returns the exit code, or the error that ends the program.
using Action = std::function<Result<int>(Session&)>;

/// "tilewise: error: ..." on standard error, whatever the log level.
void print_error(const Status& status);

/// Prints the error, if any, and returns the exit code.
int finish(const Session& session, const Result<int>& result);

/// From now on SIGINT and SIGTERM only set a mark, the first time; a second one ends the process.
void catch_stop_signals();

/// Whether one of them came.
bool stop_requested();

/// A standard stream that the caller has closed stays closed: no file that is opened later gets its
/// number. To be called before anything else, the initialisers of libraries included.
void reserve_standard_streams();

/// A write to a closed pipe or beyond a size limit shall be an error, not the end of the process.
void ignore_write_signals();

}  // namespace tilewise::cli
