// The decisions of the batcher, without threads and without a clock: what is admitted, and what a
// replica that is free runs next.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "runtime/deadline_queue.h"
#include "runtime/job.h"

namespace tilewise::runtime {

struct BatcherOptions {
  int32_t replicas = 1;
  Duration longest_pass = std::chrono::microseconds(2500);
  /// Kept free between the predicted end of a pass and a deadline, for what follows the pass.
  Duration reply_margin = std::chrono::microseconds(500);
  double bulk_share = 0.1;
  int64_t most_waiting = 1 << 20;  ///< works
};

/// What waits and what runs: the signal to scale on.
struct Backlog {
  int64_t sequences = 0;  ///< waiting
  int64_t tokens = 0;     ///< waiting
  double seconds = 0;     ///< predicted until all replicas are idle if nothing more comes
};

/// Not thread-safe. `now` must not go back. The functions are those of Batcher, where they are
/// described.
class Schedule {
 public:
  explicit Schedule(const BatcherOptions& options);

  std::optional<Duration> submit(Job& job, Time now);
  std::optional<Duration> refuses(Priority priority, Time deadline, Time now) const;
  bool cancel(Job& job);
  bool take(int32_t replica, Time now, Pass& pass);
  void finish(int32_t replica, Time now, Pass& pass);

  int64_t waiting() const { return sequences_; }
  Backlog backlog(Time now) const;

 private:
  struct Replica {
    bool is_running = false;
    bool is_idle = false;  // has asked, and found nothing
    double end = 0;        // of its pass, as predicted
  };

  /// The waiting jobs of one priority.
  struct Queue {
    explicit Queue(double stretch) : jobs(stretch) {}
    DeadlineQueue jobs;
    int64_t count = 0;
    double work_seconds = 0;
  };

  /// What a job would take of a replica.
  struct Demand {
    double fixed = 0;    // a pass without works
    double longest = 0;  // the longest work
    double work = 0;     // all works
    double cost = 0;     // all works, with their share of full passes' fixed cost
    double one = 0;      // the cost of one work
  };

  /// The predicted time that replicas are still in their passes.
  struct Running {
    double first_free = 0;  // until one is free
    double all = 0;         // of all together
  };

  Demand demand_of(const Job& job) const;
  Running running(double now) const;
  double bulk_in_front(double busy) const;
  double lateness(Priority priority, Time deadline, const Demand& demand, const Lane* lane,
                  double now) const;
  bool is_hopeless(const Demand& demand, double available) const;

  void enter(Job& job, const Demand& demand);
  void leave(Job& job);
  void drop_hopeless(Queue& queue, Time now, Pass& pass);
  Queue* choose(double now, double& most);
  void fill(Queue& queue, double now, double most, Pass& pass);
  int32_t take_works(Job& job, double most, double share, Pass& pass);
  Queue& queue_of(Priority priority) { return queues_[static_cast<size_t>(priority)]; }
  const Queue& queue_of(Priority priority) const { return queues_[static_cast<size_t>(priority)]; }

  const BatcherOptions options_;
  const double longest_pass_;
  const double reply_margin_;
  std::array<Queue, 2> queues_;  // by Priority
  std::vector<Replica> replicas_;
  int64_t sequences_ = 0;  // waiting
  int64_t tokens_ = 0;     // waiting
  int32_t lanes_ = 0;      // with waiting jobs
  double bulk_due_ = 0;    // seconds of passes that bulk work should have had by now
};

}  // namespace tilewise::runtime
