// The decisions of the batcher, without threads and without a clock: what is admitted, and what a
// replica that is free runs next.
//
// Admission predicts when a new job would be answered: after the passes that run now, after what
// waits before it (each work at its own time and its share of a full pass's fixed cost), and after
// the share of bulk work. A job must find more room before its deadline than its own pass needs:
// room for a pass worth its fixed cost. Otherwise the queue of an overloaded server would consist
// of jobs that can wait for no other, each in a pass of its own, and most of the time would go into
// fixed costs.
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
  double bulk_share = 0.1;         ///< from 0 to less than 1
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
    bool is_idle = false;    // has asked, and found nothing
    bool is_wanted = false;  // work waited when its pass ended
    double end = 0;          // of its pass, as predicted; of the last pass, where none runs
  };

  /// The waiting jobs of one priority.
  struct Queue {
    Queue(Priority its_priority, double stretch) : priority(its_priority), jobs(stretch) {}
    Priority priority;
    DeadlineQueue jobs;
    int64_t count = 0;
    double work_seconds = 0;  // their works, without the fixed cost of passes
    double packing = 1;       // what passes take, as a multiple of what their works counted
  };

  /// What a job would take of the replicas' time.
  struct Demand {
    double fixed = 0;    // of a pass, and of the way to the next one
    double longest = 0;  // the longest work
    double work = 0;     // all works
    double cost = 0;     // all works, each with its share of the fixed cost
    double one = 0;      // the cost of one work
    double room = 0;     // the time to keep for the pass that it goes into
    int32_t lanes = 1;   // with waiting jobs, its own among them
  };

  /// The predicted rest of the passes that run.
  struct Running {
    double first = 0;  // until a replica is free
    double last = 0;   // until all are
    double sum = 0;    // over all replicas
  };

  double room(double available, int32_t lanes) const;
  Demand demand_of(const Job& job, double now, int32_t lanes) const;
  Running running(double now) const;
  double bulk_rate(double now) const;
  double bulk_meanwhile(double busy) const;
  double lateness(Priority priority, Time deadline, const Demand& demand, const Lane* lane,
                  double now) const;
  double lateness_in_turn(const Queue& queue, Time deadline, const Demand& demand,
                          const Running& rest, double now) const;
  double lateness_together(const Queue& queue, Time deadline, const Demand& demand,
                           const Running& rest, double now) const;
  bool is_ever_possible(const Demand& demand, double available) const;

  void enter(Job& job, const Demand& demand);
  void leave(Job& job);
  void drop_hopeless(Queue& queue, Time now, Pass& pass);
  Queue* choose(double now, double& most);
  void fill(Queue& queue, double now, double most, Pass& pass);
  void take_works(Job& job, double most, double share, Pass& pass);
  void charge(Priority priority, double seconds, double now);

  Queue& queue_of(Priority priority) { return queues_[index_of(priority)]; }
  const Queue& queue_of(Priority priority) const { return queues_[index_of(priority)]; }

  const BatcherOptions options_;
  const double longest_pass_;
  const double reply_margin_;
  std::array<Queue, 2> queues_;  // by Priority
  std::vector<Replica> replicas_;
  int64_t sequences_ = 0;  // waiting
  int64_t tokens_ = 0;     // waiting
  int32_t lanes_ = 0;      // with waiting jobs
  double turnaround_ = 0;  // seconds from the end of a pass to the next one, where work waits
  double bulk_due_ = 0;    // seconds of passes that bulk work should have had by now
  double interactive_seconds_ = 0;  // of passes in recent time (a sum that fades), as of
  double interactive_as_of_ = 0;    // this time
};

}  // namespace tilewise::runtime
