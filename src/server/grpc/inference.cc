#include "server/grpc/inference.h"

#include <algorithm>
#include <chrono>

#include "server/access_log.h"
#include "server/admission.h"
#include "server/grpc/translate.h"
#include "server/trace_context.h"

namespace tilewise::server {
namespace {

/// Of an id in the log: as much as HTTP takes.
constexpr size_t kLongestId = 128;

}  // namespace

Inference::Inference(Shared& shared, Loop& loop, User& user)
    : shared_(shared), loop_(loop), user_(user) {}

void Inference::begin(const Caller& caller) {
  caller_ = caller;
  query_.clear();
  query_.arrival = caller.timing.arrival;
  query_.deadline = caller.timing.deadline_or_default(shared_.app.settings);
  query_.priority = caller.timing.priority;
  tasks_.clear();
  target_ = {};
}

void Inference::start(const Caller& caller, inference::ModelInferResponse& response) {
  begin(caller);
  response_ = &response;
  query_.done = [this](engine::Request& answered) {
    if (loop_.is_this_thread()) {
      is_answered_here_ = true;
    } else {
      const bool wake_later = answered.wake_later && shared_.app.wakes != nullptr;
      loop_.post(*this, wake_later);  // from here on it may be answered, or even be gone
    }
  };
  query_.status = prepare();
  if (!query_.status.ok()) return answer();
  is_answered_here_ = false;
  shared_.app.service.submit(query_);
  take_answer();
}

void Inference::refuse(const Caller& caller, const Status& status) {
  begin(caller);
  response_ = nullptr;
  status_ = status;
  report();
}

void Inference::cancel() {
  is_answered_here_ = false;
  shared_.app.service.cancel(query_);
  take_answer();
}

void Inference::take_answer() {
  if (is_answered_here_) answer();
}

Status Inference::prepare() {
  App& app = shared_.app;
  TILEWISE_RETURN_IF_ERROR(check_phase(app));
  TILEWISE_ASSIGN_OR_RETURN(const engine::Repository* models, app.models());
  TILEWISE_RETURN_IF_ERROR(decode(request, call_));
  TILEWISE_RETURN_IF_ERROR(kserve::prepare(call_, *models, app.settings, query_, target_));
  engine::join_names(target_.model->metadata(), query_.tasks, tasks_);
  query_.deadline = std::min(query_.deadline, caller_.timing.deadline);
  // Before the texts are tokenized for nothing.
  return check_load(app.service, query_.priority, query_.deadline, query_.retry_after_seconds);
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
  App& app = shared_.app;
  const CallReport report{.protocol = "grpc",
                          .model = target_.model_name,
                          .task = tasks_,
                          .status = &status_,
                          .inputs = static_cast<int64_t>(query_.size()),
                          .tokens = query_.tokens,
                          .cached_inputs = query_.cached_inputs,
                          .depth = status_.ok() ? depth_of(query_) : DepthTotals{},
                          .times = query_.times,
                          .total_seconds = seconds_between(query_.arrival, app.clock.now())};
  app.metrics.on_call(report);
  if (app.access_log != nullptr) log(report);
}

void Inference::log(const CallReport& report) const {
  const CallMetadata& metadata = caller_.context->client_metadata();
  // A client that names its calls in the message is found by that.
  std::string_view id = metadata_value(metadata, "x-request-id");
  if (id.empty() && response_ != nullptr) id = request.id();
  const auto trace = TraceContext::from(metadata_value(metadata, "traceparent"), loop_.random());
  const auto took = std::chrono::duration<double>(report.total_seconds);
  using Wall = std::chrono::system_clock;
  shared_.app.access_log->write(
      {.time = Wall::now() - std::chrono::duration_cast<Wall::duration>(took),
       .request_id = id.substr(0, kLongestId),
       .trace_id = trace.trace_id(),
       .peer = peer_of(*caller_.context),
       .method = "POST",
       .path = caller_.path,
       .protocol = report.protocol,
       .model = report.model,
       .task = report.task,
       .status = grpc_status(status_.code()),
       .bytes_in = response_ == nullptr ? 0 : static_cast<int64_t>(request.ByteSizeLong()),
       .bytes_out = status_.ok() ? static_cast<int64_t>(response_->ByteSizeLong()) : 0,
       .inputs = report.inputs,
       .tokens = report.tokens,
       .times = report.times,
       .total_seconds = report.total_seconds});
}

}  // namespace tilewise::server
