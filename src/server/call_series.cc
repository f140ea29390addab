#include "server/call_series.h"

#include <functional>

namespace tilewise::server {
namespace {

using prometheus::Counter;
using prometheus::Histogram;

constexpr std::string_view kOther = "other";

/// Seconds, dense where the deadlines of queries are.
const Histogram::BucketBoundaries kSeconds = {
    0.0001, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.0025, 0.003,
    0.004,  0.005,  0.006,  0.007,  0.008,   0.009, 0.01,   0.012, 0.015,  0.02,
    0.03,   0.05,   0.1,    0.2,    0.5,     1,     2,      5,     10};
/// Seconds: a query's tokens are made in microseconds.
const Histogram::BucketBoundaries kTokenizeSeconds = {0.000002, 0.000005, 0.00001, 0.00002, 0.00005,
                                                      0.0001,   0.0002,   0.0005,  0.001,   0.002,
                                                      0.005,    0.01,     0.1};
const Histogram::BucketBoundaries kTokens = {4,   8,   12,  16,   24,   32,   48,   64,
                                             128, 256, 512, 1024, 2048, 4096, 8192, 16384};
const Histogram::BucketBoundaries kInputs = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

size_t hash_of(const CallLabels& labels) {
  const std::hash<std::string_view> hash;
  size_t mixed = hash(labels.protocol);
  for (const size_t next : {hash(labels.model), hash(labels.task)}) {
    mixed = (mixed ^ (mixed >> 29)) * size_t{0x9e3779b97f4a7c15} + next;
  }
  return mixed ^ (mixed >> 32);
}

prometheus::Labels to_prometheus(const CallLabels& labels) {
  return {{"protocol", std::string(labels.protocol)},
          {"model", std::string(labels.model)},
          {"task", std::string(labels.task)}};
}

}  // namespace

CallSeriesTable::CallSeriesTable(FamilyList& families)
    : requests_(families.counter("tilewise_requests_total", "Requests answered, by outcome.")),
      cached_inputs_(families.counter("tilewise_request_cached_inputs_total",
                                      "Inputs that were answered from the response cache.")),
      depth_layers_(families.counter("tilewise_depth_layers_total",
                                     "Layers that the answers of tasks with exits took.")),
      depth_answers_(
          families.counter("tilewise_depth_answers_total", "Answers of tasks with exits.")),
      total_(families.histogram(
          "tilewise_request_duration_seconds",
          "Time from the last byte of a request to the first of its answer, of those "
          "that went well.")),
      queue_(families.histogram("tilewise_request_queue_seconds",
                                "Time that a request waited for its first pass.")),
      tokenize_(families.histogram("tilewise_request_tokenize_seconds",
                                   "Time that making tokens of a request's text took.")),
      compute_(families.histogram(
          "tilewise_request_compute_seconds",
          "Time from the start of a request's first pass to the end of its last.")),
      tokens_(families.histogram("tilewise_request_tokens", "Tokens of a request.")),
      inputs_(families.histogram("tilewise_request_inputs", "Inputs of a request.")) {}

/// The slot that has these labels, or the empty one that they would get.
std::atomic<CallSeries*>& CallSeriesTable::slot_of(const CallLabels& labels) const {
  for (size_t i = hash_of(labels);; ++i) {
    std::atomic<CallSeries*>& slot = slots_[i % kSlots];
    const CallSeries* series = slot.load(std::memory_order_acquire);
    if (series == nullptr || series->labels() == labels) return slot;
  }
}

CallSeries* CallSeriesTable::find(const CallLabels& labels) const {
  return slot_of(labels).load(std::memory_order_acquire);
}

CallSeries& CallSeriesTable::obtain(const CallLabels& labels) {
  const std::lock_guard lock(mutex_);
  CallLabels wanted = labels;
  if (find(wanted) == nullptr && owned_.size() >= kMostSeries) {
    wanted.model = wanted.task = kOther;
    if (owned_.size() >= kMostSeries + kMostOthers) wanted.protocol = kOther;
  }
  std::atomic<CallSeries*>& slot = slot_of(wanted);
  if (CallSeries* const there = slot.load(std::memory_order_acquire)) return *there;
  owned_.push_back(create(wanted));
  slot.store(owned_.back().get(), std::memory_order_release);
  return *owned_.back();
}

std::unique_ptr<CallSeries> CallSeriesTable::create(const CallLabels& labels) {
  auto series = std::make_unique<CallSeries>();
  series->protocol = labels.protocol;
  series->model = labels.model;
  series->task = labels.task;
  const prometheus::Labels names = to_prometheus(labels);
  series->total = &total_.Add(names, kSeconds);
  series->queue = &queue_.Add(names, kSeconds);
  series->tokenize = &tokenize_.Add(names, kTokenizeSeconds);
  series->compute = &compute_.Add(names, kSeconds);
  series->tokens = &tokens_.Add(names, kTokens);
  series->inputs = &inputs_.Add(names, kInputs);
  series->cached_inputs = &cached_inputs_.Add(names);
  requests(*series, StatusCode::ok);
  return series;
}

namespace {

/// Makes the counter that belongs at `place`: the same one for all who ask at the same time.
Counter& make_counter(std::atomic<Counter*>& place, prometheus::Family<Counter>& family,
                      const prometheus::Labels& names) {
  Counter& added = family.Add(names);
  place.store(&added, std::memory_order_release);
  return added;
}

}  // namespace

Counter& CallSeriesTable::requests(CallSeries& series, StatusCode code) {
  std::atomic<Counter*>& there = series.requests[static_cast<size_t>(code)];
  if (Counter* const known = there.load(std::memory_order_acquire)) return *known;
  prometheus::Labels names = to_prometheus(series.labels());
  names["code"] = name_of(code);
  return make_counter(there, requests_, names);
}

DepthCounters CallSeriesTable::depth(CallSeries& series) {
  Counter* const layers = series.depth_layers.load(std::memory_order_acquire);
  Counter* const answers = series.depth_answers.load(std::memory_order_acquire);
  if (layers != nullptr && answers != nullptr) return {*layers, *answers};
  const prometheus::Labels names = to_prometheus(series.labels());
  return {make_counter(series.depth_layers, depth_layers_, names),
          make_counter(series.depth_answers, depth_answers_, names)};
}

}  // namespace tilewise::server
