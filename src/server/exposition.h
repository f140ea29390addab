// Metrics -> Prometheus' text format, a piece at a time: with many models all of it takes
// milliseconds, for which requests should not wait.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

namespace tilewise::server {

/// Families of metrics, in the order in which they were added. They may be collected one by one.
class FamilyList {
 public:
  prometheus::Family<prometheus::Counter>& counter(const char* name, const char* help);
  prometheus::Family<prometheus::Gauge>& gauge(const char* name, const char* help);
  prometheus::Family<prometheus::Histogram>& histogram(const char* name, const char* help);

  const std::vector<const prometheus::Collectable*>& all() const { return all_; }

 private:
  prometheus::Registry registry_;  // owns them
  std::vector<const prometheus::Collectable*> all_;
};

/// The list must outlive it. Not thread-safe; metrics may change meanwhile: a family is as it was
/// when its first piece was made.
class Exposition {
 public:
  /// `gauges` come after the families of the list.
  Exposition(const FamilyList& list, std::vector<prometheus::MetricFamily> gauges);

  /// Appends the next piece, at most half a millisecond's work or so. False: there was none left.
  bool append(std::string& out);

 private:
  bool collect();

  const FamilyList& list_;
  size_t next_family_ = 0;
  std::vector<prometheus::MetricFamily> gauges_;

  prometheus::MetricFamily current_;
  size_t next_metric_ = 0;
};

}  // namespace tilewise::server
