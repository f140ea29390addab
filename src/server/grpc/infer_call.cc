#include "server/grpc/infer_call.h"

#include <memory>
#include <optional>
#include <vector>

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>

#include "server/grpc/inference.h"

namespace tilewise::server {
namespace {

constexpr const char* kPath = "/inference.GRPCInferenceService/ModelInfer";

/// Calls that may arrive at the same moment without one waiting for another to be taken.
constexpr int kAccepting = 64;
/// Calls that wait to be used again; a burst's are given back.
constexpr size_t kMostIdle = 1024;

}  // namespace

class InferCall final : private Inference::User {
 public:
  explicit InferCall(InferCalls& calls)
      : calls_(calls), inference_(calls.shared_, calls.loop_, *this) {}

  /// Belongs to the completion queue from here on.
  void ask() {
    writer_.reset();
    context_.emplace();
    writer_.emplace(&*context_);
    context_->AsyncNotifyWhenDone(&over_);
    response_.Clear();
    stage_ = Stage::accepting;
    is_over_ = false;
    calls_.loop_.enter();
    auto& queue = calls_.loop_.queue();
    calls_.shared_.inference.RequestModelInfer(&*context_, &inference_.request, &*writer_, &queue,
                                               &queue, &accepted_);
  }

 private:
  void on_accepted(bool ok) {
    if (!ok) {  // the server shuts down; over_ is not told of calls that never were
      calls_.take_back(std::unique_ptr<InferCall>(this));
      return;
    }
    calls_.accept();
    echo_ids(*context_);
    const App& app = calls_.shared_.app;
    Caller caller;
    if (const Status status = read_caller(app, *context_, kPath, caller); !status.ok()) {
      inference_.refuse(caller, status);
      return finish(status, 0);
    }
    stage_ = Stage::asking;
    inference_.start(caller, response_);
  }

  void on_answer(Inference&) override {
    finish(inference_.status(), inference_.retry_after_seconds());
  }

  void finish(const Status& status, double retry_after_seconds) {
    stage_ = Stage::replying;
    if (status.ok()) {
      writer_->Finish(response_, grpc::Status::OK, &replied_);
    } else {
      writer_->FinishWithError(to_grpc(status, retry_after_seconds, *context_), &replied_);
    }
  }

  void on_replied(bool) {
    stage_ = Stage::replied;
    retire();
  }

  void on_over(bool) {
    is_over_ = true;
    if (stage_ == Stage::asking && context_->IsCancelled()) return inference_.cancel();
    retire();
  }

  /// When both have come, nothing of gRPC's refers to this call any more.
  void retire() {
    if (stage_ != Stage::replied || !is_over_) return;
    writer_.reset();
    context_.reset();
    calls_.take_back(std::unique_ptr<InferCall>(this));
  }

  enum class Stage { accepting, asking, replying, replied };

  InferCalls& calls_;
  std::optional<grpc::ServerContext> context_;
  std::optional<grpc::ServerAsyncResponseWriter<inference::ModelInferResponse>> writer_;
  inference::ModelInferResponse response_;
  Inference inference_;
  Stage stage_ = Stage::accepting;
  bool is_over_ = false;
  EventOf<InferCall> accepted_{*this, &InferCall::on_accepted};
  EventOf<InferCall> replied_{*this, &InferCall::on_replied};
  EventOf<InferCall> over_{*this, &InferCall::on_over};
};

InferCalls::InferCalls(Shared& shared, Loop& loop) : shared_(shared), loop_(loop) {}
InferCalls::~InferCalls() = default;

void InferCalls::start() {
  for (int i = 0; i < kAccepting; ++i) accept();
}

void InferCalls::accept() {
  std::unique_ptr<InferCall> call;
  if (idle_.empty()) {
    call = std::make_unique<InferCall>(*this);
  } else {
    call = std::move(idle_.back());
    idle_.pop_back();
  }
  call.release()->ask();
}

void InferCalls::take_back(std::unique_ptr<InferCall> call) {
  if (idle_.size() < kMostIdle) idle_.push_back(std::move(call));
  call.reset();
  loop_.leave();
}

}  // namespace tilewise::server
