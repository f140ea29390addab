// Which sequences go into the next pass of which replica, and which requests are refused because
// they could not be answered in time.
//
// - Work-conserving: an idle replica never waits while there is work, and idle replicas share it.
// - Sequences go in the order of their deadlines, interactive before bulk. A pass is of one lane
//   and may overtake works of others that stay in time. It is filled as far as the earliest
//   deadline in it allows by the predicted time, and no further than `longest_pass`, so that what
//   arrives meanwhile waits for a bounded time.
// - Bulk work never starves: while some waits it has at least `bulk_share` of the time, from when
//   the interactive jobs are done that were admitted without it and leave it no room.
// - A job is admitted only if it, and all that was admitted before, will be in time as predicted.
//   Bulk jobs are predicted to have what interactive work has left of late, and no less than their
//   share; an interactive job is not refused for their sake.
// - Expired and cancelled works leave the queue without a pass, and so do those whose own pass
//   would end too late.
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
  /// worth asking again, and the job is the caller's at once. Zero: never, for it is closed, or
  /// because an idle server could not answer this job before its deadline either. Never blocks for
  /// long.
  std::optional<Duration> submit(Job& job);

  /// Whether even the shortest job with this deadline would be refused now: a cheap look, before a
  /// request is parsed. The result is that of submit().
  std::optional<Duration> refuses(Priority priority, Time deadline) const;

  /// Takes the waiting works of the job out. True: the job is handed back with this call (end is
  /// cancelled); false: some of its works are in a pass now, and finish() will hand it back, or
  /// finish() or take() has done so already.
  bool cancel(Job& job);

  /// Fills `pass` for an idle replica, waiting for work. False: closed and nothing waits any more.
  /// A pass may have only `ended` jobs and no works.
  bool take(int32_t replica, Pass& pass);

  /// The same without waiting, for tests and for an event loop: false when there is nothing to do.
  bool try_take(int32_t replica, Pass& pass);

  /// The replica has run the pass. Corrects the prediction and puts the jobs that this hands back
  /// into pass.ended. The works of other jobs in it are left as they are.
  void finish(int32_t replica, Pass& pass);

  /// What waits is still served; submit() refuses from now on, and take() ends when all is done.
  void close();

  Backlog backlog() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::runtime
