// Which sequences go into the next pass of which replica, and which requests are refused because
// they could not be answered in time.
//
// - Work-conserving: an idle replica never waits while there is work, and idle replicas share it.
// - Sequences go in the order of their deadlines, interactive before bulk. A pass is
//   filled as far as the earliest deadline in it allows by the predicted time, and no further than
//   `longest_pass`, so that what arrives meanwhile waits for a bounded time.
// - Bulk work never starves: while some waits it has at least `bulk_share` of the time.
// - A job is admitted only if it, and all that was admitted before, will be in time as predicted.
// - Expired and cancelled works leave the queue without a pass.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "runtime/job.h"
#include "runtime/schedule.h"

namespace tilewise::runtime {

/// Thread-safe. Time comes from the clock alone.
class Batcher {
 public:
  Batcher(const Clock& clock, const BatcherOptions& options);
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  /// Admits the whole job, or refuses it: then the result is how long to wait before it may be
  /// worth asking again, and the job is the caller's at once. Zero: never, for an idle server could
  /// not answer it before its deadline either. Never blocks for long.
  std::optional<Duration> submit(Job& job);

  /// Whether even the shortest job with this deadline would be refused now: a cheap look, before a
  /// request is parsed.
  std::optional<Duration> refuses(Priority priority, Time deadline) const;

  /// Takes the waiting works of the job out. True: the job is handed back with this call (end is
  /// cancelled); false: some of its works are in a pass now, and finish() will hand it back, or it
  /// was handed back already.
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
