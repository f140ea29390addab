// One inference of a gRPC call: message in, engine, message out.
#pragma once

#include <string>
#include <vector>

#include <inference.pb.h>

#include "engine/request.h"
#include "server/grpc/caller.h"
#include "server/grpc/loop.h"
#include "server/grpc/shared.h"
#include "server/kserve/infer.h"

namespace tilewise::server {

/// Reused from one inference to the next, so that it stops allocating. For the loop's thread alone.
class Inference final : private Task {
 public:
  class User {
   public:
    /// On the loop's thread, perhaps within start() or cancel(). Status and response are there.
    virtual void on_answer(Inference& inference) = 0;

   protected:
    ~User() = default;
  };

  Inference(Shared& shared, Loop& loop, User& user);

  inference::ModelInferRequest request;  ///< the caller's to fill before start()

  /// on_answer() follows once. `response` is clear and stays until then.
  void start(const Caller& caller, inference::ModelInferResponse& response);

  /// Instead of start(), for a call that gets this error: it is only told of, on_answer() does not
  /// follow.
  void refuse(const Caller& caller, const Status& status);

  /// The answer is not wanted any more; on_answer() comes all the same. Only between both.
  void cancel();

  const Status& status() const { return status_; }
  double retry_after_seconds() const { return query_.retry_after_seconds; }
  const engine::Request& query() const { return query_; }
  const std::string& model() const { return target_.model_name; }
  const std::string& tasks() const { return tasks_; }

 private:
  void begin(const Caller& caller);
  Status prepare();
  void take_answer();
  void answer();
  void report() const;
  void log(const CallReport& report) const;
  void run() override { answer(); }

  Shared& shared_;
  Loop& loop_;
  User& user_;
  kserve::InferCall call_;
  engine::Target target_;
  engine::Request query_;
  std::vector<kserve::OutputTensor> outputs_;
  Caller caller_;
  inference::ModelInferResponse* response_ = nullptr;
  std::string tasks_;  // for the metrics
  Status status_;
  bool is_answered_here_ = false;  // done() was called on the loop's thread
};

}  // namespace tilewise::server
