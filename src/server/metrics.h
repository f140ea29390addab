// What Prometheus sees. See docs/SERVING.md for every metric.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/repository.h"
#include "engine/service.h"

namespace tilewise::server {

/// A call that has been answered, well or not.
struct CallReport {
  std::string_view protocol;  ///< "kserve", "grpc", "tei", "openai", "sagemaker"
  std::string_view model;     ///< as in Exchange; both may be empty where they are not known
  std::string_view task;
  const Status* status = nullptr;
  int64_t inputs = 0;
  int64_t tokens = 0;
  int64_t cached_inputs = 0;
  engine::RequestTimes times = {};
  double total_seconds = 0;  ///< from the last byte of the request to the first of the response
};

/// Thread-safe; observing allocates nothing once a label set is known.
class Metrics : public engine::PassObserver {
 public:
  Metrics();
  ~Metrics() override;

  void on_call(const CallReport& report);
  void on_pass(const engine::PassReport& report) override;
  void on_connection(int change);  ///< +1, -1: HTTP
  void on_swap(std::string_view model, bool ok);

  /// The text format, with the gauges of `service` as they are now.
  std::string expose(const engine::Service& service);

  /// Totals of one model's task, for KServe's statistics.
  struct Totals {
    int64_t success = 0, failure = 0, inputs = 0, passes = 0, cache_hits = 0;
    double success_seconds = 0, failure_seconds = 0, queue_seconds = 0, tokenize_seconds = 0,
           compute_seconds = 0;
  };
  Totals totals(std::string_view model, std::string_view task) const;  ///< empty task: all of them

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::server
