// The metrics that are read when somebody asks, not counted as it happens.
#pragma once

#include <span>
#include <vector>

#include <prometheus/metric_family.h>

#include "base/clock.h"
#include "server/metrics.h"

namespace tilewise::server {

/// How busy each replica was lately: between the last but one scrape and now, at least a second
/// where there has been one. Not thread-safe.
class Utilization {
 public:
  /// 0 to 1, one a replica; 0 at the first call.
  std::vector<double> of(Time now, std::span<const double> busy_seconds);

 private:
  struct Mark {
    Time time;
    std::vector<double> busy_seconds;
  };
  Mark older_, newer_;
};

/// Gauges and counters of the snapshot, of this build and of this process.
void append_snapshot(const Snapshot& snapshot, std::span<const double> utilization,
                     std::vector<prometheus::MetricFamily>& families);

}  // namespace tilewise::server
