// The metrics of calls, one set a (protocol, model, task): found without a lock or an allocation.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>

#include "base/status.h"
#include "server/exposition.h"

namespace tilewise::server {

/// Names of a label set.
struct CallLabels {
  std::string_view protocol;
  std::string_view model;
  std::string_view task;

  bool operator==(const CallLabels&) const = default;
};

constexpr size_t kStatusCodes = static_cast<size_t>(StatusCode::too_large) + 1;

/// The metrics of one label set. Durations, tokens and inputs are those of calls that went well.
struct CallSeries {
  std::string protocol, model, task;
  std::array<std::atomic<prometheus::Counter*>, kStatusCodes> requests{};  ///< null: none yet
  prometheus::Histogram* total = nullptr;
  prometheus::Histogram* queue = nullptr;
  prometheus::Histogram* tokenize = nullptr;
  prometheus::Histogram* compute = nullptr;
  prometheus::Histogram* tokens = nullptr;
  prometheus::Histogram* inputs = nullptr;
  prometheus::Counter* cached_inputs = nullptr;
  std::atomic<prometheus::Counter*> depth_layers = nullptr;  ///< null: no task with exits yet
  std::atomic<prometheus::Counter*> depth_answers = nullptr;
  // Not exposed: what KServe's statistics want beside these.
  prometheus::Counter failure_seconds;
  prometheus::Counter passes;

  CallLabels labels() const { return {protocol, model, task}; }
};

/// Of tasks with exits: layers, summed over answers.
struct DepthCounters {
  prometheus::Counter& layers;
  prometheus::Counter& answers;
};

/// Grows up to a bound, loses nothing. Thread-safe; the list of families outlives it.
class CallSeriesTable {
 public:
  explicit CallSeriesTable(FamilyList& families);

  /// Null where there is none. No lock, no allocation.
  CallSeries* find(const CallLabels& labels) const;

  /// Makes it where there is none; beyond the bound: that of "other".
  CallSeries& obtain(const CallLabels& labels);

  prometheus::Counter& requests(CallSeries& series, StatusCode code);
  DepthCounters depth(CallSeries& series);

  /// Calls visit(const CallSeries&) for each, in no order.
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (const auto& slot : slots_) {
      if (const CallSeries* series = slot.load(std::memory_order_acquire)) visit(*series);
    }
  }

 private:
  template <class Metric>
  using Family = prometheus::Family<Metric>;

  // At most half full, so that a search ends soon.
  static constexpr size_t kSlots = 4096, kMostSeries = 1000, kMostOthers = 64;

  std::atomic<CallSeries*>& slot_of(const CallLabels& labels) const;
  std::unique_ptr<CallSeries> create(const CallLabels& labels);

  Family<prometheus::Counter>& requests_;
  Family<prometheus::Counter>& cached_inputs_;
  Family<prometheus::Counter>& depth_layers_;
  Family<prometheus::Counter>& depth_answers_;
  Family<prometheus::Histogram>& total_;
  Family<prometheus::Histogram>& queue_;
  Family<prometheus::Histogram>& tokenize_;
  Family<prometheus::Histogram>& compute_;
  Family<prometheus::Histogram>& tokens_;
  Family<prometheus::Histogram>& inputs_;

  std::mutex mutex_;  // of what follows; slots are read without it
  std::vector<std::unique_ptr<CallSeries>> owned_;
  mutable std::array<std::atomic<CallSeries*>, kSlots> slots_{};
};

}  // namespace tilewise::server
