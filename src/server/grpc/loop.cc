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

void Loop::post(Task& task, bool wake_later) {
  enter();  // until this returns the loop must not go, although the task may
  tasks_.put(task);
  if (!wake_later) wake();
  leave();
}

void Loop::wake() {
  // The alarm's last event was delivered before the tasks were taken, so that it is free.
  if (tasks_.needs_wake()) alarm_.Set(queue_.get(), gpr_time_0(GPR_CLOCK_REALTIME), nullptr);
}

void Loop::serve() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) {
    if (tag == nullptr) {
      tasks_.take([](Task& task) { task.run(); });
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
