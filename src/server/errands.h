// A thread for what takes too long for a loop: loading a model.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "base/status.h"

namespace tilewise::server {

/// Thread-safe. One errand after the other, in their order. Who adds one sees to it that what it
/// uses is still there when it runs.
class Errands {
 public:
  Errands() = default;
  ~Errands() { stop(); }

  /// Errors: unavailable_machine where no thread can be had.
  Status start();

  /// Must not throw. After stop() nobody runs it.
  void add(std::function<void()> errand);

  /// Returns when all that were added have been run.
  void stop();

 private:
  void serve();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  bool is_over_ = false;
  std::thread thread_;
};

}  // namespace tilewise::server
