// Open-loop load on a running server: requests leave at random moments (Poisson) whatever the
// server does, and latency counts from the moment at which a request should have left, so that a
// stall of the server or of this program is not hidden.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "client/send_once.h"
#include "client/url.h"

namespace tilewise::client {

struct LoadOptions {
  Url url;
  double rate = 1000;  ///< requests a second
  double seconds = 10;
  double warmup_seconds = 1;  ///< of the same load before that, not counted
  double deadline_ms = 10;
  int32_t connections = 256;
  uint64_t seed = 1;
  int32_t cpu = -1;  ///< pins the generator's thread; negative: nowhere
  /// Ends the run once 99 % within the deadline can no longer be had: for a search.
  bool stop_when_hopeless = false;
  /// What is unanswered so long after the last request has left counts as a failure.
  double patience_seconds = 2;
};

/// Latencies in seconds, sorted, from the intended moment.
struct LoadResult {
  double rate = 0;  ///< asked for
  double seconds = 0;
  int64_t sent = 0;
  int64_t sent_in_all = 0;       ///< warm-up included
  std::vector<double> accepted;  ///< answered with 200
  std::vector<double> refused;   ///< 429 or 503
  std::map<int, int64_t> statuses;
  int64_t failures = 0;              ///< neither: other statuses, broken connections, no answer
  int64_t reconnects = 0;            ///< connections that ended while the load ran
  int64_t in_time = 0;               ///< accepted within the deadline: the goodput
  std::vector<int64_t> accepted_of;  ///< how often each of the requests was accepted
  /// How far this program fell behind its own schedule, in seconds: at worst, and in one request
  /// of a hundred.
  double latest_send = 0;
  double send_lag_p99 = 0;
  bool stopped_early = false;  ///< by stop_when_hopeless
};

/// The value of the nearest rank; NaN of nothing.
double percentile(const std::vector<double>& sorted, double share);

/// Sends `requests` in turn. One thread, the caller's, which sleeps between events. A request goes
/// out on any free connection; where none is free it waits, which counts. Memory grows with
/// rate x seconds alone. Errors: io_error where nothing answers at the url.
Result<LoadResult> run_load(const LoadOptions& options,
                            const std::vector<PreparedRequest>& requests);

}  // namespace tilewise::client
