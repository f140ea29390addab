// What people see while rows go through: a bar on a terminal, now and then a line elsewhere,
// nothing when it is quick.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "batch/job.h"

namespace tilewise::cli {

/// Not thread-safe; draws on standard error.
class ProgressDisplay {
 public:
  /// `enabled`: false draws nothing. `limit`: rows after which the work ends, 0: not known.
  /// `price`: USD an hour, for what it has cost so far.
  ProgressDisplay(bool enabled, int64_t limit, std::optional<double> price = {});
  ~ProgressDisplay() { clear(); }
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  /// Draws if it is time.
  void show(const batch::Progress& progress);

  /// Takes the bar away, so that a message may be printed.
  void clear();

 private:
  bool enabled_;
  bool terminal_;
  int64_t limit_;
  std::optional<double> price_;
  double next_seconds_;
  bool drawn_ = false;
};

/// Says which rows were rejected: the first few, then how many more.
class RejectionReport {
 public:
  explicit RejectionReport(ProgressDisplay& display) : display_(display) {}
  void add(const Status& rejected);
  void finish() const;

 private:
  ProgressDisplay& display_;
  int64_t count_ = 0;
};

/// "12,345 rows (3 rejected) in 4.20 s: 2,939 rows/s, 150,120 tokens/s"; what earlier runs or a
/// previous job have given is named, too.
std::string describe(const batch::Progress& progress);

/// Rows that this run answered or rejected, a second.
double rows_per_second(const batch::Progress& progress);

/// USD for a million rows that this run answered, at this pace; 0 when there were none.
double cost_per_million(const batch::Progress& progress, double usd_per_hour);

}  // namespace tilewise::cli
