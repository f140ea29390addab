// What `tilewise bench` prints.
#pragma once

#include <cstdint>
#include <string>

#include "cli/bench_scenarios.h"

namespace tilewise::cli {

/// A measurement with all that it depends on.
struct BenchReport {
  std::string scenario;  ///< "single", "offline", "forward"
  std::string task;
  std::string precision;
  std::string isa;
  std::string cpu;
  int32_t replicas = 0;  ///< that worked
  Measurement measured;
  Peaks peaks;  ///< mean of before and after
  double load_ms = 0;
  double rss_mb = 0;  ///< the most that was resident, artifact pages included

  /// FLOPs over what the cores could have done in the same time, each precision at its own peak.
  double share_of_peak() const;
};

/// One object on one line, with the keys of the design (and "stages_ms" for forward). `peaks` are
/// in GFLOP/s of one core; `latency_ms` holds nulls where no latency is measured.
std::string to_json(const BenchReport& report);

std::string describe(const BenchReport& report);

}  // namespace tilewise::cli
