// One JSON object a line for every call that was answered.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "engine/request.h"

namespace tilewise::server {

/// A call that has been answered. The views need to live only as long as write().
struct AccessEntry {
  std::chrono::system_clock::time_point time;  ///< of its arrival
  std::string_view request_id;
  std::string_view trace_id;
  std::string_view peer;  ///< "192.0.2.7:51234"
  std::string_view method;
  std::string_view path;  ///< without the query, which may hold what is nobody's business
  std::string_view protocol;
  std::string_view model;
  std::string_view task;
  int status = 0;  ///< of HTTP, or of gRPC where the protocol is that
  int64_t bytes_in = 0;
  int64_t bytes_out = 0;
  int64_t inputs = 0;
  int64_t tokens = 0;
  engine::RequestTimes times = {};
  double total_seconds = 0;
};

/// Thread-safe. A thread of its own writes, so that write() never waits for a disk: it formats into
/// memory that is bounded, and what does not fit there is dropped, counted, and said in the log
/// ({"time", "dropped"}) and among the warnings. The file is opened again, by its path, when it was
/// moved away (logrotate) or reopen_access_logs() was called. Destruction writes what is left.
class AccessLog {
 public:
  /// Appends to the file; "-" is standard error. Errors: io_error.
  static Result<std::unique_ptr<AccessLog>> open(const std::string& path);
  ~AccessLog();

  void write(const AccessEntry& entry);

  /// Returns when all that was written before has reached the file. For tests.
  void flush();

 private:
  struct State;
  explicit AccessLog(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Every open access log opens its file again before it next writes. Async-signal-safe: for SIGHUP.
void reopen_access_logs();

}  // namespace tilewise::server
