// Open-loop load on a running server: requests leave at random moments (Poisson) whatever the
// server does, and latency counts from the moment at which a request should have left, so that a
// stall of the server or of this program is not hidden.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "client/url.h"

namespace tilewise::client {

/// One HTTP request, ready to be sent again and again.
struct PreparedRequest {
  std::string bytes;  ///< request line, headers and body
};

struct LoadOptions {
  Url url;
  double rate = 1000;  ///< requests a second
  double seconds = 10;
  double warmup_seconds = 1;
  double deadline_ms = 10;
  int32_t connections = 256;
  uint64_t seed = 1;
  int32_t cpu = -1;  ///< pins the generator's thread; negative: nowhere
};

/// Latencies in seconds, sorted, from the intended moment.
struct LoadResult {
  double rate = 0;  ///< asked for
  double seconds = 0;
  int64_t sent = 0;
  std::vector<double> accepted;  ///< answered with 200
  std::vector<double> refused;   ///< 429 or 503
  std::map<int, int64_t> statuses;
  int64_t failures = 0;    ///< neither: other statuses, broken connections, no answer
  int64_t in_time = 0;     ///< accepted within the deadline: the goodput
  double latest_send = 0;  ///< how far this program fell behind its own schedule, at worst
};

double percentile(const std::vector<double>& sorted, double share);

/// Errors: not_found or io_error where nothing answers at the url.
Result<LoadResult> run_load(const LoadOptions& options,
                            const std::vector<PreparedRequest>& requests);

}  // namespace tilewise::client
