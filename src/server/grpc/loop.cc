#include "server/grpc/loop.h"

#include <system_error>
#include <vector>

#include <grpc/support/time.h>

namespace tilewise::server {

Loop::Loop(std::unique_ptr<grpc::ServerCompletionQueue> queue)
    : queue_(std::move(queue)), random_(std::random_device()()) {}

Loop::~Loop() {
  if (!thread_.joinable()) queue_->Shutdown();
  serve();  // what has been joined has left nothing
}

Status Loop::start() {
  try {
    thread_ = std::thread([this] { serve(); });
  } catch (const std::system_error& error) {
    return unavailable_machine(
        {.what = "the thread for gRPC cannot be started", .found = error.what()});
  }
  return {};
}

void Loop::post(Task& task) {
  Task* head = tasks_.load(std::memory_order_relaxed);
  do {
    task.next_ = head;
  } while (!tasks_.compare_exchange_weak(head, &task, std::memory_order_release,
                                         std::memory_order_relaxed));
  // The first in the list wakes the loop, which takes all that are there by then. The alarm's last
  // event was delivered before the list was emptied, so that it is free.
  if (head == nullptr) alarm_.Set(queue_.get(), gpr_time_0(GPR_CLOCK_REALTIME), nullptr);
}

void Loop::run_tasks() {
  Task* reversed = nullptr;
  for (Task* task = tasks_.exchange(nullptr, std::memory_order_acquire); task != nullptr;) {
    Task* next = task->next_;
    task->next_ = reversed;
    reversed = task;
    task = next;
  }
  while (reversed != nullptr) {
    Task* task = reversed;
    reversed = task->next_;  // run() may post it again, or delete it
    task->run();
  }
}

void Loop::serve() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) {
    if (tag == nullptr) {
      run_tasks();
    } else {
      static_cast<Event*>(tag)->on_event(ok);
    }
  }
}

void Loop::announce_phase() {
  if (!phase_task_.is_posted.exchange(true, std::memory_order_acq_rel)) post(phase_task_);
}

void Loop::PhaseTask::run() {
  is_posted.store(false, std::memory_order_release);
  const std::vector<Listener*> listeners(loop_.listeners_.begin(), loop_.listeners_.end());
  for (Listener* listener : listeners) {
    if (loop_.listeners_.contains(listener)) listener->on_phase();
  }
}

void Loop::leave() {
  if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1) users_.notify_all();
}

void Loop::finish() {
  if (!thread_.joinable()) return;
  leave();
  for (int64_t users = users_.load(); users != 0; users = users_.load()) users_.wait(users);
  queue_->Shutdown();
  thread_.join();
}

}  // namespace tilewise::server
