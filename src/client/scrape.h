// Prometheus' text format -> numbers.
// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace tilewise::client {

struct Series {
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;

  /// Empty where there is no such label.
  std::string_view label(std::string_view name) const;
};

/// Counts of a histogram up to each bound, of all its label sets that were asked for.
using Buckets = std::map<double, double>;

/// What a server says of itself at one moment.
class Scrape {
 public:
  /// Errors: invalid_input, naming the line.
  static Result<Scrape> parse(std::string_view text);

  /// Empty where there is none of this name.
  const std::vector<Series>& series(std::string_view name) const;

  /// 0 where there is none.
  double sum(std::string_view name) const;

  /// Sum over the series for which `takes(series)` holds.
  template <class Takes>
  double sum(std::string_view name, const Takes& takes) const {
    double total = 0;
    for (const Series& one : series(name)) total += takes(one) ? one.value : 0;
    return total;
  }

  /// `name` without "_bucket".
  template <class Takes>
  Buckets buckets(std::string_view name, const Takes& takes) const {
    Buckets all;
    for (const Series& one : series(std::string(name) + "_bucket")) {
      if (takes(one)) all[bound_of(one)] += one.value;
    }
    return all;
  }

 private:
  static double bound_of(const Series& series);

  std::map<std::string, std::vector<Series>, std::less<>> series_;
};

/// What came between two moments. A server that was started anew in between counts from 0.
Buckets difference(const Buckets& now, const Buckets& before);

/// The `share`-quantile, with straight lines between the bounds, as Prometheus' histogram_quantile
/// has it; the largest bound for what lies beyond it; NaN where nothing was counted.
double quantile(const Buckets& buckets, double share);

}  // namespace tilewise::client
