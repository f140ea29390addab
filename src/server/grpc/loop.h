// One thread that serves a completion queue, and the way back to it for other threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <thread>

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include "base/status.h"
#include "server/handover.h"
#include "server/wake_list.h"

namespace tilewise::server {

/// What a completion queue gives back: the tag of each operation is one of these.
class Event {
 public:
  /// On the loop's thread. `ok` is what the operation defines.
  virtual void on_event(bool ok) = 0;

 protected:
  ~Event() = default;
};

/// An Event that is a member function of its owner, of which it is a part.
template <class Owner>
class EventOf final : public Event {
 public:
  using Handler = void (Owner::*)(bool ok);
  EventOf(Owner& owner, Handler handler) : owner_(owner), handler_(handler) {}
  void on_event(bool ok) override { (owner_.*handler_)(ok); }

 private:
  Owner& owner_;
  Handler handler_;
};

/// Work that another thread hands to the loop. At most once in its list at a time.
class Task : public Handover<Task>::Node {
 public:
  virtual ~Task() = default;
  virtual void run() = 0;  ///< on the loop's thread
};

/// A call that lasts, and wants to know when the server's phase changes.
class Listener {
 public:
  virtual void on_phase() = 0;  ///< on the loop's thread; may remove itself

 protected:
  ~Listener() = default;
};

/// What is not said to be thread-safe is for the loop's thread alone.
class Loop final : public WakeList::Sleeper {
 public:
  explicit Loop(std::unique_ptr<grpc::ServerCompletionQueue> queue);
  /// Without start() it drains the queue itself, which must be the last to use it.
  ~Loop();

  /// Errors: unavailable_machine where no thread can be had.
  Status start();
  grpc::ServerCompletionQueue& queue() { return *queue_; }

  /// Thread-safe. `wake_later`: once wake() is called.
  void post(Task& task, bool wake_later = false);
  void wake() override;
  bool is_this_thread() const { return std::this_thread::get_id() == thread_.get_id(); }

  std::mt19937_64& random() { return random_; }  ///< for ids

  void add(Listener& listener) { listeners_.insert(&listener); }
  void remove(Listener& listener) { listeners_.erase(&listener); }
  /// Thread-safe: the loop calls on_phase() of all listeners.
  void announce_phase();

  /// Each call that may use the queue holds it between the two.
  void enter() { users_.fetch_add(1, std::memory_order_relaxed); }
  void leave();

  /// From another thread: returns when no call uses the queue any more and the thread has ended.
  void finish();

 private:
  class PhaseTask final : public Task {
   public:
    explicit PhaseTask(Loop& loop) : loop_(loop) {}
    void run() override;
    std::atomic<bool> is_posted = false;

   private:
    Loop& loop_;
  };

  void serve();

  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  grpc::Alarm alarm_;
  Handover<Task> tasks_;
  std::atomic<int64_t> users_ = 1;  // one is finish()'s
  std::set<Listener*> listeners_;
  std::mt19937_64 random_;
  PhaseTask phase_task_{*this};
  std::thread thread_;
};

}  // namespace tilewise::server
