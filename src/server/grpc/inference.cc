#include "server/grpc/inference.h"

#include <algorithm>

#include "server/grpc/translate.h"

namespace tilewise::server {

Inference::Inference(Shared& shared, Loop& loop, User& user)
    : shared_(shared), loop_(loop), user_(user) {}

void Inference::start(const CallTiming& timing, inference::ModelInferResponse& response) {
  response_ = &response;
  query_.clear();
  tasks_.clear();
  target_ = {};
  query_.done = [this](engine::Request&) {
    if (loop_.is_this_thread()) {
      is_answered_here_ = true;
    } else {
      loop_.post(*this);  // from here on it may be answered, or even be gone
    }
  };
  query_.status = prepare(timing);
  if (!query_.status.ok()) return answer();
  is_answered_here_ = false;
  shared_.app.service.submit(query_);
  take_answer();
}

void Inference::cancel() {
  is_answered_here_ = false;
  shared_.app.service.cancel(query_);
  take_answer();
}

void Inference::take_answer() {
  if (is_answered_here_) answer();
}

Status Inference::prepare(const CallTiming& timing) {
  App& app = shared_.app;
  query_.arrival = timing.arrival;
  query_.deadline = timing.deadline_or_default(app.settings);
  query_.priority = timing.priority;
  TILEWISE_RETURN_IF_ERROR(check_phase(app));
  TILEWISE_RETURN_IF_ERROR(decode(request, call_));
  TILEWISE_RETURN_IF_ERROR(kserve::prepare(call_, *app.repository.load(std::memory_order_acquire),
                                           app.settings, query_, target_));
  for (const int32_t task : query_.tasks) {
    if (!tasks_.empty()) tasks_ += ',';
    tasks_ += target_.model->metadata().tasks[task].task.name;
  }
  query_.deadline = std::min(query_.deadline, timing.deadline);
  return {};
}

void Inference::answer() {
  status_ = query_.status;
  if (status_.ok()) status_ = kserve::collect(call_, query_, outputs_);
  if (status_.ok()) {
    encode({.model = call_.model,
            .version = target_.version,
            .id = call_.id,
            .truncated = kserve::truncated_inputs(query_)},
           outputs_, request.raw_input_contents_size() > 0, *response_);
  }
  report();
  query_.model.reset();  // a call that waits for its next use keeps no old model alive
  target_.model.reset();
  user_.on_answer(*this);
}

void Inference::report() const {
  shared_.app.metrics.on_call(
      {.protocol = "grpc",
       .model = target_.model_name,
       .task = tasks_,
       .status = &status_,
       .inputs = static_cast<int64_t>(query_.size()),
       .tokens = query_.tokens,
       .cached_inputs = query_.cached_inputs,
       .times = query_.times,
       .total_seconds = seconds_between(query_.arrival, shared_.app.clock.now())});
}

}  // namespace tilewise::server
