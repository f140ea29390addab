#include "server/grpc/stream_call.h"

#include <deque>
#include <memory>
#include <vector>

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>

#include "server/grpc/inference.h"

namespace tilewise::server {
namespace {

constexpr const char* kPath = "/inference.GRPCInferenceService/ModelStreamInfer";

/// Messages of one stream that are neither answered nor waiting on the wire; the next is read when
/// one of them is done.
constexpr size_t kMostAtOnce = 256;

class StreamCall final : private Listener {
 public:
  StreamCall(Shared& shared, Loop& loop) : shared_(shared), loop_(loop) {}

  /// Belongs to the completion queue from here on.
  void ask() {
    context_.AsyncNotifyWhenDone(&over_);
    loop_.enter();
    shared_.inference.RequestModelStreamInfer(&context_, &stream_, &loop_.queue(), &loop_.queue(),
                                              &accepted_);
  }

 private:
  /// One message and its answer.
  struct Exchange final : Inference::User {
    explicit Exchange(StreamCall& the_stream)
        : stream(the_stream), inference(stream.shared_, stream.loop_, *this) {}
    void on_answer(Inference&) override { stream.on_answer(*this); }

    StreamCall& stream;
    Inference inference;
    inference::ModelStreamInferResponse reply;
    bool is_running = false;
  };

  void on_accepted(bool ok) {
    if (!ok) {
      loop_.leave();
      delete this;
      return;
    }
    (new StreamCall(shared_, loop_))->ask();
    loop_.add(*this);
    echo_ids(context_);
    const App& app = shared_.app;
    Status status = read_caller(app, context_, kPath, caller_);
    if (status.ok()) status = check_phase(app);
    if (status.ok()) return read();
    Exchange(*this).inference.refuse(caller_, status);
    finish(status);
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Messages in

  void read() {
    if (reading_ != nullptr || is_last_read_ || running_ + answered_.size() >= kMostAtOnce) return;
    if (idle_.empty()) {
      exchanges_.push_back(std::make_unique<Exchange>(*this));
      idle_.push_back(exchanges_.back().get());
    }
    reading_ = idle_.back();
    idle_.pop_back();
    stream_.Read(&reading_->inference.request, &read_);
  }

  void on_read(bool ok) {
    Exchange& exchange = *reading_;
    reading_ = nullptr;
    if (!ok || is_finishing_) {
      is_last_read_ = true;
      idle_.push_back(&exchange);
      go_on();
      return retire();
    }
    caller_.timing.arrival = shared_.app.clock.now();
    exchange.reply.Clear();
    exchange.is_running = true;
    ++running_;
    exchange.inference.start(caller_, *exchange.reply.mutable_infer_response());
    read();
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Answers out

  void on_answer(Exchange& exchange) {
    exchange.is_running = false;
    --running_;
    auto& response = *exchange.reply.mutable_infer_response();
    const Status& status = exchange.inference.status();
    if (!status.ok()) {
      response.Clear();
      response.set_model_name(exchange.inference.request.model_name());
      response.set_id(exchange.inference.request.id());
      exchange.reply.set_error_message(status.message());
      (*response.mutable_parameters())["error_code"].set_string_param(name_of(status.code()));
    }
    // Every request has one answer; clients of streams ask for this sign of the last one.
    (*response.mutable_parameters())["triton_final_response"].set_bool_param(true);
    answered_.push_back(&exchange);
    write();
  }

  void write() {
    if (is_writing_ || answered_.empty() || is_finishing_) return go_on();
    is_writing_ = true;
    grpc::WriteOptions options;
    if (answered_.size() > 1) options.set_buffer_hint();  // it goes out with the next
    stream_.Write(answered_.front()->reply, options, &written_);
  }

  void on_written(bool ok) {
    is_writing_ = false;
    idle_.push_back(answered_.front());
    answered_.pop_front();
    if (!ok) is_last_read_ = true;  // the client is gone, which on_over() says, too
    write();
    if (ok) read();
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The end

  /// Finishes the stream when there is nothing to come any more.
  void go_on() {
    if (is_finishing_ || running_ > 0 || is_writing_ || !answered_.empty()) return;
    if (is_last_read_) return finish({});
    if (shared_.is_stopping) {
      finish(unavailable({.what = "the server is stopping"}));
    }
  }

  void on_phase() override { go_on(); }

  void finish(const Status& status) {
    is_finishing_ = true;
    stream_.Finish(to_grpc(status), &finished_);
  }

  void on_finished(bool) {
    is_finished_ = true;
    retire();
  }

  void on_over(bool) {
    is_over_ = true;
    if (context_.IsCancelled()) {
      for (const auto& exchange : exchanges_) {
        if (exchange->is_running) exchange->inference.cancel();
      }
    }
    retire();
  }

  void retire() {
    if (!is_over_ || !is_finished_ || reading_ != nullptr || is_writing_ || running_ > 0) return;
    loop_.remove(*this);
    Loop& loop = loop_;
    delete this;
    loop.leave();
  }

  Shared& shared_;
  Loop& loop_;
  grpc::ServerContext context_;
  grpc::ServerAsyncReaderWriter<inference::ModelStreamInferResponse, inference::ModelInferRequest>
      stream_{&context_};
  Caller caller_;

  std::vector<std::unique_ptr<Exchange>> exchanges_;
  std::vector<Exchange*> idle_;
  Exchange* reading_ = nullptr;
  std::deque<Exchange*> answered_;  // the first is being written, if any
  size_t running_ = 0;
  bool is_writing_ = false;
  bool is_last_read_ = false;
  bool is_finishing_ = false;
  bool is_finished_ = false;
  bool is_over_ = false;

  EventOf<StreamCall> accepted_{*this, &StreamCall::on_accepted};
  EventOf<StreamCall> read_{*this, &StreamCall::on_read};
  EventOf<StreamCall> written_{*this, &StreamCall::on_written};
  EventOf<StreamCall> finished_{*this, &StreamCall::on_finished};
  EventOf<StreamCall> over_{*this, &StreamCall::on_over};
};

}  // namespace

void accept_stream_calls(Shared& shared, Loop& loop) { (new StreamCall(shared, loop))->ask(); }

}  // namespace tilewise::server
