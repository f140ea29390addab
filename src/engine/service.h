// Real time: many callers, several models, one set of replicas, deadlines.
// submit -> tokenize -> cache -> admit -> batch -> pass -> done.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "engine/engine.h"
#include "engine/loaded_model.h"
#include "engine/request.h"
#include "runtime/batcher.h"

namespace tilewise::engine {

/// A model that every replica of a service can run. Made by Service::load; it is given up when the
/// last request and the last name that hold it are gone. Thread-safe.
class ServedModel {
 public:
  struct State;  ///< the service's own

  explicit ServedModel(std::unique_ptr<State> state);
  ~ServedModel();
  const LoadedModel& loaded() const;
  const artifact::Metadata& metadata() const { return loaded().metadata(); }
  State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

/// One pass that a replica has run.
struct PassReport {
  int32_t replica = 0;
  int32_t sequences = 0;
  int64_t tokens = 0;
  int64_t token_layers = 0;  ///< tokens that went through a layer, summed over the layers
  double predicted_seconds = 0;
  double seconds = 0;
};

/// Told of every pass, on the replica's thread. Must not throw or block.
class PassObserver {
 public:
  virtual ~PassObserver() = default;
  virtual void on_pass(const PassReport& report) = 0;
  /// done() was called for all that the replica had to hand back, each with Request::wake_later.
  virtual void on_handed_back() {}
};

struct ServiceOptions {
  Options replicas = {};                 ///< ISA, how many, how many cores each, pinned or not
  runtime::BatcherOptions batcher = {};  ///< its `replicas` is set by the service
  int64_t cache_bytes = 0;               ///< of the response cache; 0: none
  PassObserver* observer = nullptr;
};

struct CacheCounts {
  int64_t hits = 0;
  int64_t misses = 0;
  int64_t entries = 0;
  int64_t bytes = 0;
};

/// Thread-safe. Destruction serves what was admitted.
class Service {
 public:
  /// Starts the replicas' threads. Errors: those of the options, as Engine::open.
  static Result<std::unique_ptr<Service>> start(const ServiceOptions& options, const Clock& clock);
  ~Service();

  /// Opens a model, reads all of it once to compare its checksums, shares what it can with those
  /// that are loaded, warms it on every replica and learns how long its passes take (from a model
  /// of the same shape, if one is loaded). Takes tens of milliseconds; requests go on meanwhile.
  /// Errors: those of LoadedModel::open, unavailable_machine.
  Result<std::shared_ptr<ServedModel>> load(const std::string& path);

  /// Answers the request; request.done() says when. Never blocks: what cannot be answered in time
  /// is refused at once.
  void submit(Request& request);

  /// The caller no longer wants the answer; done() is still called, in this call with `cancelled`
  /// unless the answer is on its way already. Does nothing after done().
  void cancel(Request& request);

  /// How long to wait if even the shortest request would be refused now: a cheap look before a
  /// request is parsed.
  std::optional<Duration> refuses(runtime::Priority priority, Time deadline) const;

  int32_t replicas() const;
  int32_t cores_per_replica() const;
  runtime::Backlog backlog() const;
  /// Seconds that each replica has spent in passes since the start.
  std::vector<double> busy_seconds() const;
  CacheCounts cache() const;

 private:
  struct State;
  explicit Service(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::engine
