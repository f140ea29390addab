#include "server/metrics.h"

#include <array>
#include <mutex>
#include <set>
#include <utility>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include "server/call_series.h"
#include "server/exposition.h"
#include "server/snapshot_metrics.h"

namespace tilewise::server {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

constexpr size_t kMostSwapLabels = 256;

/// Why a request was not answered; null where the fault was not the request's or the load's.
const char* reason_of(StatusCode code) {
  switch (code) {
    case StatusCode::overloaded:
      return "overloaded";
    case StatusCode::deadline_exceeded:
      return "deadline";
    case StatusCode::cancelled:
      return "cancelled";
    case StatusCode::unavailable:
    case StatusCode::interrupted:
      return "unavailable";
    case StatusCode::unauthenticated:
      return "unauthenticated";
    case StatusCode::too_large:
      return "too_large";
    case StatusCode::invalid_argument:
    case StatusCode::invalid_input:
      return "invalid";
    case StatusCode::not_found:
      return "not_found";
    case StatusCode::unsupported:
      return "unsupported";
    case StatusCode::ok:
    case StatusCode::unavailable_machine:
    case StatusCode::io_error:
    case StatusCode::internal:
      return nullptr;
  }
  return nullptr;
}

}  // namespace

struct Metrics::State {
  State();

  FamilyList families;
  CallSeriesTable calls{families};

  std::array<Counter*, kStatusCodes> rejections{};  // null: not one
  Histogram& pass_sequences;
  Histogram& pass_tokens;
  Histogram& pass_seconds;
  Histogram& pass_ratio;
  Counter& pass_predicted;
  Gauge& connections;
  Family<Counter>& swaps;

  std::mutex mutex;  // of what follows
  std::set<std::string, std::less<>> swap_labels;
  Utilization utilization;
};

Metrics::State::State()
    : pass_sequences(families.histogram("tilewise_pass_sequences", "Sequences of a pass.")
                         .Add({}, Histogram::BucketBoundaries{1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64,
                                                              128, 256})),
      pass_tokens(families.histogram("tilewise_pass_tokens", "Tokens of a pass.")
                      .Add({}, Histogram::BucketBoundaries{8, 16, 32, 64, 96, 128, 192, 256, 384,
                                                           512, 1024, 2048, 4096})),
      pass_seconds(
          families.histogram("tilewise_pass_duration_seconds", "Time that a pass took.")
              .Add({}, Histogram::BucketBoundaries{0.0001, 0.0002, 0.0003, 0.0005, 0.00075, 0.001,
                                                   0.0015, 0.002, 0.0025, 0.003, 0.004, 0.005,
                                                   0.0075, 0.01, 0.02, 0.05, 0.1, 0.5, 1})),
      pass_ratio(families
                     .histogram("tilewise_pass_prediction_ratio",
                                "The time that a pass took, as a multiple of the predicted one.")
                     .Add({}, Histogram::BucketBoundaries{0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 1, 1.05,
                                                          1.1, 1.2, 1.3, 1.5, 2, 4, 8})),
      pass_predicted(families
                         .counter("tilewise_pass_predicted_seconds_total",
                                  "Predicted time of the passes that were run.")
                         .Add({})),
      connections(
          families.gauge("tilewise_http_connections", "HTTP connections that are open.").Add({})),
      swaps(families.counter(
          "tilewise_model_swaps_total",
          "Versions of models that were loaded, or refused while the old one serves "
          "on.")) {
  Family<Counter>& family = families.counter("tilewise_rejections_total",
                                             "Requests that were refused or dropped, by reason.");
  for (size_t code = 0; code < kStatusCodes; ++code) {
    const char* const reason = reason_of(static_cast<StatusCode>(code));
    if (reason != nullptr) rejections[code] = &family.Add({{"reason", reason}});
  }
}

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

void Metrics::on_call(const CallReport& report) {
  const StatusCode code = report.status == nullptr ? StatusCode::ok : report.status->code();
  const bool ok = code == StatusCode::ok;
  const CallLabels labels{report.protocol, report.model, report.task};
  CallSeries* const known = state_->calls.find(labels);
  CallSeries& series = known != nullptr ? *known : state_->calls.obtain(labels);
  state_->calls.requests(series, code).Increment();
  if (!ok) {
    series.failure_seconds.Increment(report.total_seconds);
    if (Counter* const rejected = state_->rejections[static_cast<size_t>(code)]) {
      rejected->Increment();
    }
    return;
  }
  series.total->Observe(report.total_seconds);
  series.queue->Observe(report.times.queue);
  series.tokenize->Observe(report.times.tokenize);
  series.compute->Observe(report.times.compute);
  series.tokens->Observe(static_cast<double>(report.tokens));
  series.inputs->Observe(static_cast<double>(report.inputs));
  if (report.cached_inputs > 0) {
    series.cached_inputs->Increment(static_cast<double>(report.cached_inputs));
  }
  if (report.cached_inputs < report.inputs) series.passes.Increment();
  if (report.depth.answers == 0) return;
  const DepthCounters depth = state_->calls.depth(series);
  depth.layers.Increment(report.depth.layers);
  depth.answers.Increment(static_cast<double>(report.depth.answers));
}

void Metrics::on_pass(const engine::PassReport& report) {
  state_->pass_sequences.Observe(report.sequences);
  state_->pass_tokens.Observe(static_cast<double>(report.tokens));
  state_->pass_seconds.Observe(report.seconds);
  if (report.predicted_seconds > 0) {
    state_->pass_predicted.Increment(report.predicted_seconds);
    state_->pass_ratio.Observe(report.seconds / report.predicted_seconds);
  }
}

void Metrics::on_connection(int change) { state_->connections.Increment(change); }

void Metrics::on_swap(std::string_view model, bool ok) {
  std::string label(model);
  {
    const std::lock_guard lock(state_->mutex);
    const bool is_new = !state_->swap_labels.contains(label);
    if (is_new && state_->swap_labels.size() >= kMostSwapLabels) label = "other";
    state_->swap_labels.insert(label);
  }
  state_->swaps.Add({{"model", label}, {"result", ok ? "loaded" : "refused"}}).Increment();
}

Exposition Metrics::expose(const Snapshot& snapshot) {
  std::vector<prometheus::MetricFamily> gauges;
  const std::lock_guard lock(state_->mutex);
  append_snapshot(snapshot, state_->utilization.of(snapshot.now, snapshot.busy_seconds), gauges);
  return {state_->families, std::move(gauges)};
}

Metrics::Totals Metrics::totals(std::string_view model, std::string_view task) const {
  const auto sum_of = [](const Histogram& histogram) {
    return histogram.Collect().histogram.sample_sum;
  };
  Totals totals;
  state_->calls.for_each([&](const CallSeries& series) {
    if (series.model != model || (!task.empty() && series.task != task)) return;
    for (size_t code = 0; code < kStatusCodes; ++code) {
      const Counter* const requests = series.requests[code].load(std::memory_order_acquire);
      if (requests == nullptr) continue;
      (code == 0 ? totals.success : totals.failure) += static_cast<int64_t>(requests->Value());
    }
    totals.inputs += static_cast<int64_t>(sum_of(*series.inputs));
    totals.passes += static_cast<int64_t>(series.passes.Value());
    totals.cache_hits += static_cast<int64_t>(series.cached_inputs->Value());
    totals.success_seconds += sum_of(*series.total);
    totals.failure_seconds += series.failure_seconds.Value();
    totals.queue_seconds += sum_of(*series.queue);
    totals.tokenize_seconds += sum_of(*series.tokenize);
    totals.compute_seconds += sum_of(*series.compute);
  });
  return totals;
}

}  // namespace tilewise::server
