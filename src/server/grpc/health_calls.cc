#include "server/grpc/health_calls.h"

#include <optional>
#include <string>

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>

#include "server/grpc/simple_call.h"

namespace tilewise::server {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

bool is_known(const std::string& service) {
  return service.empty() || service == "inference.GRPCInferenceService";
}

HealthCheckResponse::ServingStatus health_of(const App& app) {
  return app.is_ready() ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

Status check(const App& app, const HealthCheckRequest& request, HealthCheckResponse& response) {
  if (!is_known(request.service())) {
    return not_found({.what = "there is no such service",
                      .expected = "\"\" or \"inference.GRPCInferenceService\"",
                      .found = request.service().substr(0, 200)});
  }
  response.set_status(health_of(app));
  return {};
}

/// Tells the status when it begins and whenever it changes.
class WatchCall final : private Listener {
 public:
  WatchCall(Shared& shared, Loop& loop) : shared_(shared), loop_(loop) {}

  /// Belongs to the completion queue from here on.
  void ask() {
    context_.AsyncNotifyWhenDone(static_cast<Event*>(&over_));
    loop_.enter();
    shared_.health.RequestWatch(&context_, &request_, &writer_, &loop_.queue(), &loop_.queue(),
                                static_cast<Event*>(&accepted_));
  }

 private:
  void on_accepted(bool ok) {
    if (!ok) {
      Loop& loop = loop_;
      delete this;
      return loop.leave();
    }
    (new WatchCall(shared_, loop_))->ask();
    loop_.add(*this);
    on_phase();
  }

  void on_phase() override {
    if (is_writing_ || is_finishing_) return;
    const auto now = is_known(request_.service()) ? health_of(shared_.app)
                                                  : HealthCheckResponse::SERVICE_UNKNOWN;
    if (told_ != now) {
      told_ = now;
      HealthCheckResponse response;
      response.set_status(now);
      is_writing_ = true;
      writer_.Write(response, static_cast<Event*>(&written_));
    } else if (is_over_ || shared_.is_stopping) {
      is_finishing_ = true;
      writer_.Finish(to_grpc(unavailable({.what = "the server is stopping"})),
                     static_cast<Event*>(&finished_));
    }
  }

  void on_written(bool) {
    is_writing_ = false;
    on_phase();
  }

  void on_over(bool) {
    is_over_ = true;
    if (is_finished_) return retire();
    on_phase();
  }

  void on_finished(bool) {
    is_finished_ = true;
    if (is_over_) retire();
  }

  void retire() {
    loop_.remove(*this);
    Loop& loop = loop_;
    delete this;
    loop.leave();
  }

  Shared& shared_;
  Loop& loop_;
  grpc::ServerContext context_;
  HealthCheckRequest request_;
  grpc::ServerAsyncWriter<HealthCheckResponse> writer_{&context_};
  std::optional<HealthCheckResponse::ServingStatus> told_;
  bool is_writing_ = false;
  bool is_finishing_ = false;
  bool is_finished_ = false;
  bool is_over_ = false;
  EventOf<WatchCall> accepted_{*this, &WatchCall::on_accepted};
  EventOf<WatchCall> written_{*this, &WatchCall::on_written};
  EventOf<WatchCall> finished_{*this, &WatchCall::on_finished};
  EventOf<WatchCall> over_{*this, &WatchCall::on_over};
};

}  // namespace

void accept_health_calls(Shared& shared, Loop& loop) {
  using Method = SimpleMethod<Health::AsyncService, HealthCheckRequest, HealthCheckResponse>;
  accept(shared, shared.health, loop,
         Method{.ask = &Health::AsyncService::RequestCheck, .answer = check, .is_open = true});
  (new WatchCall(shared, loop))->ask();
}

}  // namespace tilewise::server
