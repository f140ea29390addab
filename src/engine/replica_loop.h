// What the thread of one replica does: take a pass, run it, give every request what it asked for.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "engine/request.h"
#include "engine/response_cache.h"
#include "engine/served_model.h"
#include "engine/service.h"
#include "runtime/batcher.h"
#include "runtime/team.h"

namespace tilewise::engine {

/// A request that has its last output, or that has none to wait for any more: sets how it went and
/// calls done(). The request may be gone afterwards.
void complete(Request& request, Time now);

/// The core of a replica belongs to its thread, or for one pass to a load that warms a model there.
/// The thread goes first.
class ReplicaTurn {
 public:
  /// The replica's thread.
  void lock();
  void unlock() { mutex_.unlock(); }
  /// A load; returns when the replica's thread does not wait.
  void lock_politely();

 private:
  std::mutex mutex_;
  std::atomic<bool> is_wanted_ = false;
};

class ReplicaLoop {
 public:
  struct Surroundings {
    const Clock& clock;
    runtime::Batcher& batcher;
    ResponseCache* cache = nullptr;
    PassObserver* observer = nullptr;
  };

  ReplicaLoop(int32_t index, const Surroundings& around, std::shared_ptr<runtime::Team> team);

  /// Until the batcher is closed and nothing waits.
  void serve();

  /// Seconds in passes since the start. Thread-safe.
  double busy_seconds() const { return busy_seconds_.load(std::memory_order_relaxed); }

  /// For loads: the team that a worker of this replica uses, and the turn to use it.
  const std::shared_ptr<runtime::Team>& team() const { return team_; }
  ReplicaTurn& turn() { return turn_; }

 private:
  void run(runtime::Pass& pass);
  void gather(const runtime::Pass& pass, const LoadedModel& model);
  void mark_wanted(const runtime::Pass& pass);
  void scatter(const runtime::Pass& pass, const ServedModel::State::Lane& lane);
  void hand_back(runtime::Pass& pass);
  int32_t slot_of(int32_t task) const;

  const int32_t index_;
  const Surroundings around_;
  const std::shared_ptr<runtime::Team> team_;
  ReplicaTurn turn_;
  std::atomic<double> busy_seconds_ = 0;

  // One pass; its memory is reused.
  std::vector<int32_t> ids_;
  std::vector<int32_t> types_;
  std::vector<int32_t> offsets_;
  std::vector<int32_t> tasks_;   // those that any of its requests asked for
  std::vector<uint8_t> wanted_;  // task by task, by which sequence
  std::vector<float> values_;
  std::vector<runtime::TaskOutput> outputs_;  // one a task
};

}  // namespace tilewise::engine
