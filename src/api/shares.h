// A call's work in shares: a few for each replica are on their way at a time, so that none waits
// and that others' calls get their turn between them.
#pragma once

#include <chrono>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "base/status.h"
#include "engine/engine.h"

namespace tilewise::api {

/// Asked several times a second on the calling thread; true ends the call. May be empty.
using Stop = std::function<bool()>;

/// What a share says of itself when its memory gave out.
inline Status no_memory(const std::string& where, const std::exception& error) {
  return unavailable_machine({.what = "The rows cannot be answered",
                              .where = where,
                              .expected = {},
                              .found = error.what(),
                              .remedy = "Give the process more memory"});
}

/// The shares that were submitted and not yet taken back. Not thread-safe.
template <class Share>
class Shares {
 public:
  Shares(engine::Engine& engine, const Stop& stop) : engine_(engine), stop_(stop) {}

  /// Waits for what is in flight.
  ~Shares() {
    for (const Running& share : running_) {
      if (share.done.valid()) share.done.wait();
    }
  }
  Shares(const Shares&) = delete;
  Shares& operator=(const Shares&) = delete;

  bool is_full() const { return running_.size() > 2 * static_cast<size_t>(engine_.replicas()); }
  bool is_empty() const { return running_.empty(); }

  void submit(std::unique_ptr<Share> share) {
    Share* running = share.get();
    running_.emplace_back(std::move(share));
    running_.back().done =
        engine_.submit([running](engine::Worker& worker) { running->answer(worker); });
  }

  /// The oldest one, answered; null where the call shall stop.
  std::unique_ptr<Share> take() {
    Running& oldest = running_.front();
    while (oldest.done.wait_for(kStopIsAsked) != std::future_status::ready) {
      if (stop_ && stop_()) return nullptr;
    }
    if (is_time_to_ask() && stop_ && stop_()) return nullptr;
    std::unique_ptr<Share> share = std::move(oldest.share);
    running_.pop_front();
    return share;
  }

 private:
  static constexpr std::chrono::milliseconds kStopIsAsked{100};

  struct Running {
    explicit Running(std::unique_ptr<Share> work) : share(std::move(work)) {}
    std::unique_ptr<Share> share;
    std::future<void> done;
  };

  bool is_time_to_ask() {
    const auto now = std::chrono::steady_clock::now();
    if (now - asked_ < kStopIsAsked) return false;
    asked_ = now;
    return true;
  }

  engine::Engine& engine_;
  const Stop& stop_;
  std::deque<Running> running_;
  std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
};

/// Answers all shares. `next` makes one after the other, and null at the end; `finish` gets them
/// back in that order, and its failure ends the call. Share has `void answer(engine::Worker&)`,
/// which a replica's thread calls and which does not throw. Errors: those of `finish`; interrupted.
template <class Share, class Next, class Finish>
Status answer_shares(engine::Engine& engine, const Stop& stop, Next next, Finish finish) {
  Shares<Share> shares(engine, stop);
  bool is_last = false;
  for (;;) {
    while (!is_last && !shares.is_full()) {
      std::unique_ptr<Share> share = next();
      is_last = share == nullptr;
      if (share) shares.submit(std::move(share));
    }
    if (shares.is_empty()) return {};
    const std::unique_ptr<Share> share = shares.take();
    if (!share)
      return interrupted(
          {.what = "The call was stopped", .where = {}, .expected = {}, .found = {}, .remedy = {}});
    TILEWISE_RETURN_IF_ERROR(finish(*share));
  }
}

}  // namespace tilewise::api
