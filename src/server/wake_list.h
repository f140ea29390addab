// The event loops that wait for answers. A pass ends many requests: each loop is woken once, after
// the last of them. Woken at the first, it would take the replica's core from it in the middle.
#pragma once

#include <mutex>
#include <vector>

namespace tilewise::server {

/// Thread-safe.
class WakeList {
 public:
  class Sleeper {
   public:
    /// From any thread; must not block. Does nothing where there is nothing to do.
    virtual void wake() = 0;

   protected:
    ~Sleeper() = default;
  };

  void add(Sleeper& sleeper) {
    const std::lock_guard lock(mutex_);
    sleepers_.push_back(&sleeper);
  }

  /// Afterwards it is not called any more.
  void remove(Sleeper& sleeper) {
    const std::lock_guard lock(mutex_);
    std::erase(sleepers_, &sleeper);
  }

  void wake_all() {
    const std::lock_guard lock(mutex_);
    for (Sleeper* sleeper : sleepers_) sleeper->wake();
  }

 private:
  std::mutex mutex_;
  std::vector<Sleeper*> sleepers_;
};

}  // namespace tilewise::server
