// What Prometheus sees. See docs/SERVING.md for every metric.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "engine/repository.h"
#include "engine/service.h"
#include "server/depth.h"

namespace tilewise::server {

class Exposition;

/// A call that has been answered, well or not.
struct CallReport {
  std::string_view protocol;  ///< "kserve", "grpc", "tei", "openai", "sagemaker"
  /// The repository's names, never what a client sent; empty where they did not become known.
  std::string_view model;
  std::string_view task;
  const Status* status = nullptr;  ///< null: ok
  int64_t inputs = 0;
  int64_t tokens = 0;
  int64_t cached_inputs = 0;
  DepthTotals depth = {};
  engine::RequestTimes times = {};
  double total_seconds = 0;  ///< from the last byte of the request to the first of the response
};

/// What the rest of the server knows at the moment of a scrape.
struct Snapshot {
  Time now = {};
  runtime::Backlog backlog = {};
  std::vector<double> busy_seconds = {};  ///< one a replica, since the start
  engine::CacheCounts cache = {};
  bool is_ready = false;
  std::string isa = {};  ///< what the kernels run with, "amx"

  struct Model {
    std::string name;
    std::string version;
    bool is_ready = false;
  };
  std::vector<Model> models = {};
};

/// Thread-safe; observing allocates nothing once a label set is known.
///
/// A client cannot make labels: a model and a task become one when a call of them went well, or
/// when a snapshot named them; other calls count under empty labels. Beyond a thousand label sets
/// those that are new count under "other".
class Metrics : public engine::PassObserver {
 public:
  Metrics();
  ~Metrics() override;

  void on_call(const CallReport& report);
  void on_pass(const engine::PassReport& report) override;
  void on_connection(int change);  ///< +1, -1: HTTP
  void on_swap(std::string_view model, bool ok);

  /// The text format (version 0.0.4), with the gauges as `snapshot` has them. Must not
  /// outlive this.
  Exposition expose(const Snapshot& snapshot);

  /// Totals of one model's task, for KServe's statistics.
  struct Totals {
    int64_t success = 0, failure = 0, inputs = 0;
    int64_t passes = 0;  ///< requests that took part in one: not answered from the cache alone
    int64_t cache_hits = 0;
    double success_seconds = 0, failure_seconds = 0, queue_seconds = 0, tokenize_seconds = 0,
           compute_seconds = 0;
  };
  Totals totals(std::string_view model, std::string_view task) const;  ///< empty task: all of them

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::server
