#include "runtime/team.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include <sched.h>

#include "base/log.h"
#include "base/topology.h"

namespace tilewise::runtime {
namespace {

using Clock = std::chrono::steady_clock;

// Members come a few microseconds after each other. One that is missing for longer has lost its
// core, and may need ours.
constexpr int kPausesBeforeYield = 1000;

// A request is often followed by the next; waking a sleeping thread takes longer than many waits.
constexpr std::chrono::microseconds kSpinBetweenRuns{100};

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

/// Returns when `value` is no longer `old`: spins for a while, then sleeps.
void wait_for_change(const std::atomic<uint32_t>& value, uint32_t old) {
  constexpr int kPausesBetweenLooks = 32;  // at the clock
  const auto end = Clock::now() + kSpinBetweenRuns;
  do {
    for (int i = 0; i < kPausesBetweenLooks; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      pause();
    }
  } while (Clock::now() < end);
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

int32_t Member::team_size() const { return team_->size_; }

void Member::wait() const { team_->wait(index_); }

Range Member::share(int32_t count, int32_t grain) const {
  const int64_t pieces = (int64_t{count} + grain - 1) / grain;
  const auto begin_of = [&](int64_t index) {
    return static_cast<int32_t>(std::min<int64_t>(pieces * index / team_->size_ * grain, count));
  };
  return {begin_of(index_), begin_of(index_ + 1)};
}

Team::Team(int32_t size) : size_(size), arrivals_(std::make_unique<Arrivals[]>(size)) {}

Result<std::unique_ptr<Team>> Team::create(int32_t size, std::span<const int32_t> cpus) {
  std::unique_ptr<Team> team(new Team(size));
  try {
    for (int32_t i = 1; i < size; ++i) {
      const int32_t cpu = cpus.empty() ? -1 : cpus[i];
      team->threads_.emplace_back([shared = team.get(), i, cpu] { shared->serve(i, cpu); });
    }
  } catch (const std::system_error& error) {
    return unavailable_machine({.what = "cannot start the threads of a replica",
                                .where = "--cores-per-replica " + std::to_string(size),
                                .found = error.what(),
                                .remedy = "Use fewer replicas or fewer cores for each"});
  }
  return team;
}

// notify_all looks for sleepers after the change: only with the strongest order is none missed by
// the letter of the memory model.
Team::~Team() {
  is_closing_.store(true, std::memory_order_relaxed);
  runs_.fetch_add(1, std::memory_order_seq_cst);
  runs_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Team::run_program() {
  if (size_ > 1) {
    runs_.fetch_add(1, std::memory_order_seq_cst);
    runs_.notify_all();
  }
  call_(program_, Member(*this, 0));
  wait(0);
}

void Team::serve(int32_t index, int32_t cpu) {
  if (cpu >= 0) {
    if (const Status pinned = pin_current_thread(cpu); !pinned.ok()) log_warn(pinned.message());
  }
  for (uint32_t run = 0;; ++run) {
    wait_for_change(runs_, run);
    if (is_closing_.load(std::memory_order_relaxed)) return;
    call_(program_, Member(*this, index));
    wait(index);
  }
}

void Team::wait(int32_t index) {
  const uint32_t mine = arrivals_[index].count.load(std::memory_order_relaxed) + 1;
  arrivals_[index].count.store(mine, std::memory_order_release);
  for (int32_t other = 0; other < size_; ++other) {
    // The difference, for the counts run over.
    const auto is_missing = [&] {
      return static_cast<int32_t>(arrivals_[other].count.load(std::memory_order_acquire) - mine) <
             0;
    };
    for (int pauses = 0; is_missing();) {
      if (pauses < kPausesBeforeYield) {
        pause();
        ++pauses;
      } else {
        sched_yield();
      }
    }
  }
}

}  // namespace tilewise::runtime
