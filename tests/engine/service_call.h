// A request that a test waits for, and the clock and the gate that make time and replicas stand
// still.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "engine/service.h"

namespace tilewise::engine {

class Call {
 public:
  Call(std::shared_ptr<ServedModel> model, const std::string& tasks,
       std::vector<model::Input> inputs = {}) {
    auto found = model->loaded().find_tasks(tasks);
    EXPECT_TRUE(found.ok()) << found.status().message();
    if (found.ok()) request.tasks = *found;
    request.model = std::move(model);
    request.inputs = std::move(inputs);
    request.overlong = Overlong::cut_right;
  }

  void submit(Service& service) {
    request.done = [this](Request&) {
      ++times_done;
      thread = std::this_thread::get_id();
      done_.release();
    };
    service.submit(request);
  }

  void wait() { done_.acquire(); }

  Request& run(Service& service) {
    submit(service);
    wait();
    return request;
  }

  /// The outputs of tasks[task], all inputs end to end.
  std::vector<float> values(size_t task = 0) const {
    std::vector<float> all;
    for (size_t i = 0; i < request.size(); ++i) {
      const auto part = request.values(i, task);
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }

  Request request;
  std::atomic<int> times_done = 0;
  std::thread::id thread;  ///< that called done()

 private:
  std::counting_semaphore<> done_{0};
};

/// Stands still until it is told.
class FakeClock final : public Clock {
 public:
  Time now() const override { return Time(Duration(now_.load())); }
  void advance(Duration time) { now_ += time.count(); }

 private:
  std::atomic<Duration::rep> now_ = Duration(std::chrono::hours(1)).count();
};

/// Holds replicas after their passes, while it is closed.
class Gate final : public PassObserver {
 public:
  void on_pass(const PassReport& report) override {
    std::unique_lock lock(mutex_);
    passes_.push_back(report);
    changed_.notify_all();
    changed_.wait(lock, [&] { return is_open_; });
  }
  void close() { set(false); }
  void open() { set(true); }
  void wait_for_passes(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return passes_.size() >= count; });
  }
  std::vector<PassReport> passes() {
    const std::lock_guard lock(mutex_);
    return passes_;
  }

 private:
  void set(bool is_open) {
    const std::lock_guard lock(mutex_);
    is_open_ = is_open;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<PassReport> passes_;
  bool is_open_ = true;
};

}  // namespace tilewise::engine
