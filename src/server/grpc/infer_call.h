// ModelInfer: one message in, one out.
#pragma once

#include <memory>
#include <vector>

#include "server/grpc/loop.h"
#include "server/grpc/shared.h"

namespace tilewise::server {

class InferCall;

/// The calls of ModelInfer on one loop, which outlives this: those that run belong to the
/// completion queue, those that wait to be used again lie here.
class InferCalls {
 public:
  InferCalls(Shared& shared, Loop& loop);
  ~InferCalls();

  /// Accepts calls until the server is shut down. Once, before the loop starts.
  void start();

 private:
  friend class InferCall;
  void accept();
  void take_back(std::unique_ptr<InferCall> call);

  Shared& shared_;
  Loop& loop_;
  std::vector<std::unique_ptr<InferCall>> idle_;
};

}  // namespace tilewise::server
