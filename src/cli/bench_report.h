// What `tilewise bench` prints.
#pragma once

#include <cstdint>
#include <string>

#include "cli/bench_scenarios.h"
#include "rows/json_writer.h"

namespace tilewise::cli {

/// A measurement with all that it depends on.
struct BenchReport {
  std::string scenario = {};  ///< "single", "offline", "forward"
  std::string task = {};
  std::string precision = {};
  std::string isa = {};
  std::string cpu = {};
  int32_t replicas = 0;  ///< that worked
  int32_t cores_per_replica = 1;
  int32_t layers = 0;  ///< of the model; only needed with a depth
  Measurement measured = {};
  Flops peaks = {};  ///< FLOP/s of one core, mean of before and after; 0 where not used
  double load_ms = 0;
  double rss_mb = 0;  ///< the most that was resident, artifact pages included

  /// FLOPs over what the cores could have done in the same time, each precision at its own peak.
  /// NaN where a peak is missing.
  double share_of_peak() const;
  /// The same from the median pass, which one interruption does not spoil; only for forward.
  double median_share_of_peak() const;
};

/// Seconds that one core needs for `flops` at its peaks; NaN where a peak that it needs is missing.
double core_seconds(const Flops& flops, const Flops& peaks);

/// Where values lie between the least and the most; NaN where there are none.
struct Quartiles {
  double least, lower, median, upper, most;
};
Quartiles quartiles(std::vector<double> values);

/// One object on one line, with the keys of the design; forward adds "spread_ms",
/// "share_of_peak_p50" and "stages_ms". `peaks` are in GFLOP/s of one core; `latency_ms` holds
/// nulls where no latency is measured.
std::string to_json(const BenchReport& report);

/// The keys and values of that object without its braces, up to "rss_mb"; what is not known (an
/// empty text, no replicas) is null.
void write_common(const BenchReport& report, rows::JsonWriter& json);

/// {"embed":0.01,...}
void write_stages(const runtime::StageTimes& stages, rows::JsonWriter& json);

std::string describe(const BenchReport& report);

}  // namespace tilewise::cli
