// Which sequences go into the next pass of which replica, and which requests are refused because
// they could not be answered in time.
//
// - Work-conserving: an idle replica never waits while there is work, and idle replicas share it.
// - Sequences go in the order of their deadlines, interactive before bulk. A pass is filled as far
// as
//   the earliest deadline in it allows by the predicted time, and no further than `longest_pass`,
//   so that what arrives meanwhile waits for a bounded time.
// - Bulk work never starves: while some waits it has at least `bulk_share` of the time.
// - A job is admitted only if it, and all that was admitted before, will be in time as predicted.
// - Expired and cancelled works leave the queue without a pass.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "runtime/pass_time.h"

namespace tilewise::runtime {

enum class Priority : uint8_t { interactive, bulk };

/// Works of one lane may share a pass: those of one loaded model. The batcher reads and corrects
/// its `time` under its own lock.
struct Lane {
  PassTime time;
};

struct Job;

/// One sequence that waits for a pass. `tokens` is the caller's to set, the rest is the batcher's.
struct Work {
  int32_t tokens = 0;
  Job* job = nullptr;
  Work* previous = nullptr;
  Work* next = nullptr;
  bool is_waiting = false;
};

/// The sequences of one request, admitted or refused together. The caller owns it and its works and
/// leaves both where they are from submit() until the batcher has handed the job back.
struct Job {
  Lane* lane = nullptr;
  Priority priority = Priority::interactive;
  Time deadline = Time::max();
  std::span<Work> works;  ///< at least one

  /// Set when the job is handed back.
  enum class End : uint8_t { answered, expired, cancelled } end = End::answered;
  Time started;  ///< of the first pass; as `submitted` where there was none
  Time submitted;

  // The batcher's.
  int32_t unfinished = 0;
  double predicted_seconds = 0;
};

/// What a replica is to run, all of one lane, in the order of their deadlines. Reused from one pass
/// to the next.
struct Pass {
  Lane* lane = nullptr;
  std::vector<Work*> works;
  PassShape shape;
  double predicted_seconds = 0;
  Time started;
  std::vector<Job*> ended;  ///< handed back without (further) work: expired
};

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

/// Thread-safe. Time comes from the clock alone.
class Batcher {
 public:
  Batcher(const Clock& clock, const BatcherOptions& options);
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  /// Admits the whole job, or refuses it: then the result is how long to wait before it may be
  /// worth asking again, and the job is the caller's at once. Never blocks for long.
  std::optional<Duration> submit(Job& job);

  /// Whether even the shortest job with this deadline would be refused now: a cheap look, before a
  /// request is parsed.
  std::optional<Duration> refuses(Priority priority, Time deadline) const;

  /// Takes the waiting works of the job out. True: the job is handed back with this call (end is
  /// cancelled); false: some of its works are in a pass now, and finish() will hand it back.
  bool cancel(Job& job);

  /// Fills `pass` for an idle replica, waiting for work. False: closed and nothing waits any more.
  /// A pass may have only `ended` jobs and no works.
  bool take(int32_t replica, Pass& pass);

  /// The same without waiting, for tests and for an event loop: false when there is nothing to do.
  bool try_take(int32_t replica, Pass& pass);

  /// The replica has run the pass. Corrects the prediction and puts the jobs that this hands back
  /// into pass.ended.
  void finish(int32_t replica, Pass& pass);

  /// What waits is still served; submit() refuses from now on, and take() ends when all is done.
  void close();

  Backlog backlog() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::runtime
