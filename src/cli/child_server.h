// `tilewise serve` as a child process, for whoever measures it.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

#include "base/status.h"
#include "client/url.h"

namespace tilewise::cli {

/// Not thread-safe. The server ends with this object, and with this process.
class ChildServer {
 public:
  /// Runs this very program as `tilewise serve ARGUMENTS` on these processors and waits until it
  /// says that it is ready. Its log goes to ours, at level debug. Errors: internal where there can
  /// be no process; io_error with the server's last words where it ends before it is ready.
  static Result<std::unique_ptr<ChildServer>> start(const std::vector<std::string>& arguments,
                                                    const std::vector<int32_t>& cpus);
  ~ChildServer();
  ChildServer(const ChildServer&) = delete;
  ChildServer& operator=(const ChildServer&) = delete;

  const client::Url& url() const { return url_; }
  double seconds_to_ready() const { return seconds_to_ready_; }
  /// Processor time of all its threads so far.
  double cpu_seconds() const;
  /// Resident memory now, and the most so far, in MB (10^6 bytes).
  double memory_mb() const;
  double peak_memory_mb() const;

  /// Asks it to stop, and waits. Returns what wait() gives of it. Errors: io_error where it did not
  /// end by itself.
  Result<int> stop();

 private:
  ChildServer() = default;
  void read_log(int descriptor);
  Status wait_until_ready();

  pid_t process_ = -1;
  client::Url url_;
  double seconds_to_ready_ = 0;
  std::thread reader_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string address_;  // from its log
  bool log_has_ended_ = false;
  std::deque<std::string> last_lines_;
};

/// "... listening on http://127.0.0.1:8080 and ..." -> "http://127.0.0.1:8080"; empty for any other
/// line.
std::string address_in(std::string_view line);

/// How a process ended, from what wait() gave: "exit code 0", "signal 9 (Killed)".
std::string describe_end(int wait_status);

}  // namespace tilewise::cli
