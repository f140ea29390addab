#include "runtime/batcher.h"

#include <condition_variable>
#include <mutex>
#include <vector>

namespace tilewise::runtime {

struct Batcher::State {
  /// A replica in take(). Each has its own condition, so that as many wake up as have work.
  struct Sleeper {
    std::condition_variable wake;
    bool is_asleep = false;  // and nobody has called it yet
  };

  State(const Clock& its_clock, const BatcherOptions& options)
      : clock(its_clock), schedule(options), sleepers(static_cast<size_t>(options.replicas)) {}

  /// The next one to wake up, if a work waits for which none has been called; for notify_one()
  /// after the lock is given back, so that it does not wake up only to wait for the lock.
  std::condition_variable* call() {
    if (asleep.empty() || called >= schedule.waiting()) return nullptr;
    Sleeper& sleeper = *asleep.back();
    asleep.pop_back();
    sleeper.is_asleep = false;
    ++called;
    return &sleeper.wake;
  }

  const Clock& clock;
  mutable std::mutex mutex;
  Schedule schedule;
  std::vector<Sleeper> sleepers;
  std::vector<Sleeper*> asleep;  // the last to fall asleep wakes first: its caches are warm
  int64_t called = 0;            // have been called and are not back yet
  bool is_closed = false;
};

Batcher::Batcher(const Clock& clock, const BatcherOptions& options)
    : state_(std::make_unique<State>(clock, options)) {
  state_->asleep.reserve(state_->sleepers.size());
}

Batcher::~Batcher() = default;

std::optional<Duration> Batcher::submit(Job& job) {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  if (s.is_closed) return Duration::zero();
  const auto refused = s.schedule.submit(job, s.clock.now());
  if (refused) return refused;
  // One, who calls others: the caller has more to do than to wake up a whole machine.
  std::condition_variable* wake = s.call();
  lock.unlock();
  if (wake != nullptr) wake->notify_one();
  return std::nullopt;
}

std::optional<Duration> Batcher::refuses(Priority priority, Time deadline) const {
  const std::lock_guard lock(state_->mutex);
  if (state_->is_closed) return Duration::zero();
  return state_->schedule.refuses(priority, deadline, state_->clock.now());
}

bool Batcher::cancel(Job& job) {
  const std::lock_guard lock(state_->mutex);
  return state_->schedule.cancel(job);
}

bool Batcher::take(int32_t replica, Pass& pass) {
  State& s = *state_;
  State::Sleeper& self = s.sleepers[static_cast<size_t>(replica)];
  std::unique_lock lock(s.mutex);
  while (!s.schedule.take(replica, s.clock.now(), pass)) {
    if (s.is_closed) return false;
    self.is_asleep = true;
    s.asleep.push_back(&self);
    self.wake.wait(lock, [&] { return !self.is_asleep; });
    --s.called;
  }
  // Two, so that all are awake after a few rounds.
  std::condition_variable* const wakes[] = {s.call(), s.call()};
  lock.unlock();
  for (std::condition_variable* wake : wakes) {
    if (wake != nullptr) wake->notify_one();
  }
  return true;
}

bool Batcher::try_take(int32_t replica, Pass& pass) {
  const std::lock_guard lock(state_->mutex);
  return state_->schedule.take(replica, state_->clock.now(), pass);
}

void Batcher::finish(int32_t replica, Pass& pass) {
  const std::lock_guard lock(state_->mutex);
  state_->schedule.finish(replica, state_->clock.now(), pass);
}

void Batcher::close() {
  State& s = *state_;
  const std::lock_guard lock(s.mutex);
  s.is_closed = true;
  for (State::Sleeper* sleeper : s.asleep) {
    sleeper->is_asleep = false;
    ++s.called;
    sleeper->wake.notify_one();
  }
  s.asleep.clear();
}

Backlog Batcher::backlog() const {
  const std::lock_guard lock(state_->mutex);
  return state_->schedule.backlog(state_->clock.now());
}

}  // namespace tilewise::runtime
