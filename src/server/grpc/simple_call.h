// A call that is answered from what is known: one message in, one out.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>

#include "server/errands.h"
#include "server/grpc/caller.h"
#include "server/grpc/loop.h"
#include "server/grpc/shared.h"

namespace tilewise::server {

/// How one method is asked for and answered.
template <class Service, class Request, class Response>
struct SimpleMethod {
  void (Service::*ask)(grpc::ServerContext*, Request*, grpc::ServerAsyncResponseWriter<Response>*,
                       grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*);
  Status (*answer)(const App& app, const Request& request, Response& response);
  bool is_open = false;  ///< needs no API key
  bool is_long = false;  ///< an errand, not for the loop
};

template <class Service, class Request, class Response>
class SimpleCall final : private Task {
 public:
  using Method = SimpleMethod<Service, Request, Response>;
  SimpleCall(Shared& shared, Service& service, Loop& loop, const Method& method)
      : shared_(shared), service_(service), loop_(loop), method_(method) {}

  /// Belongs to the completion queue from here on.
  void ask() {
    loop_.enter();
    (service_.*method_.ask)(&context_, &request_, &writer_, &loop_.queue(), &loop_.queue(),
                            static_cast<Event*>(&accepted_));
  }

 private:
  void on_accepted(bool ok) {
    if (!ok) return retire(true);
    (new SimpleCall(shared_, service_, loop_, method_))->ask();
    echo_ids(context_);
    if (!method_.is_open &&
        !is_allowed(shared_.app.settings.api_keys, context_.client_metadata())) {
      status_ = no_key();
    } else if (method_.is_long) {
      return shared_.app.errands.add([this] {
        if (shared_.is_stopping) {  // who waits in line would use up the time of the others
          status_ = unavailable({.what = "the server is stopping"});
        } else {
          answer();
        }
        loop_.post(*this);
      });
    } else {
      answer();
    }
    run();
  }

  void answer() { status_ = method_.answer(shared_.app, request_, response_); }

  void run() override {
    if (status_.ok()) {
      writer_.Finish(response_, grpc::Status::OK, static_cast<Event*>(&replied_));
    } else {
      writer_.FinishWithError(to_grpc(status_), static_cast<Event*>(&replied_));
    }
  }

  void retire(bool) {
    Loop& loop = loop_;
    delete this;
    loop.leave();
  }

  Shared& shared_;
  Service& service_;
  Loop& loop_;
  Method method_;
  grpc::ServerContext context_;
  grpc::ServerAsyncResponseWriter<Response> writer_{&context_};
  Request request_;
  Response response_;
  Status status_;
  EventOf<SimpleCall> accepted_{*this, &SimpleCall::on_accepted};
  EventOf<SimpleCall> replied_{*this, &SimpleCall::retire};
};

/// Accepts calls of the method until the server is shut down. Once, before the loop starts.
template <class Service, class Request, class Response>
void accept(Shared& shared, Service& service, Loop& loop,
            const SimpleMethod<Service, Request, Response>& method) {
  (new SimpleCall<Service, Request, Response>(shared, service, loop, method))->ask();
}

}  // namespace tilewise::server
