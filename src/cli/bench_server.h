// tilewise bench --scenario server: an open loop against a running server, or one that it starts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/bench_report.h"
#include "cli/flags.h"
#include "cli/session.h"
#include "client/load.h"

namespace tilewise::cli {

struct ServerBenchOptions {
  ModelFlags model = {};  ///< no path: nothing is compared with the engine's own answers
  TaskFlags task = {};
  std::vector<std::string> inputs = {};
  int64_t limit = 0;
  double seconds = 10;  ///< of the window that is reported
  double warmup_seconds = 1;
  double deadline_ms = 10;
  double rate = 0;               ///< 0: the highest at which the deadline is kept
  std::string url = {};          ///< empty: a server of this program's own
  std::string server_cpus = {};  ///< empty: all that may be used but the last
  int32_t client_cpu = -1;       ///< negative: the last that may be used
  int32_t connections = 256;
  uint64_t seed = 1;
  bool json = false;
};

/// A rate that was tried on the way.
struct TriedRate {
  double rate = 0;
  double seconds = 0;
  double p99_ms = 0;
  int64_t refused = 0, failures = 0;
  bool held = false;
};

/// What is known of a server that is our own.
struct ServerCost {
  double cpu_seconds = 0;    ///< a request, all of the process
  double model_seconds = 0;  ///< of that in passes; NaN where its metrics do not say
  double memory_before_mb = 0, memory_after_mb = 0;  ///< resident, around the reported window
  std::string end = {};                              ///< how the process ended
};

struct ServerBenchReport {
  /// Its measurement is of the accepted requests of the reported window; load_ms: from exec to
  /// ready; rss_mb: the server's most.
  BenchReport common = {};
  double deadline_ms = 10;
  double asked_rate = 0;  ///< 0: searched for
  int32_t connections = 0;
  std::vector<int32_t> server_cpus = {};
  int32_t client_cpu = -1;
  std::string url = {};                         ///< of a server that is not our own
  std::string checked = {};                     ///< what was compared before anything was timed
  std::optional<client::LoadResult> load = {};  ///< none: no rate held
  std::optional<double> offline_rate = {};      ///< rows a second of the same cores in the same run
  std::optional<ServerCost> cost = {};
  std::vector<TriedRate> tried = {};

  /// Whether this program fell so far behind its schedule that it measured itself.
  bool is_worthless() const;
};

/// Errors: those of the flags and of opening the model; io_error where the server does not answer
/// as the engine does.
Result<int> run_server_bench(const ServerBenchOptions& options, Session& session);

/// One object on one line: docs/BENCH.md.
std::string to_json(const ServerBenchReport& report);
std::string describe(const ServerBenchReport& report);

}  // namespace tilewise::cli
