// What all calls of a gRPC server work with.
#pragma once

#include <atomic>

#include <health.grpc.pb.h>
#include <inference.grpc.pb.h>

#include "server/app.h"

namespace tilewise::server {

struct Shared {
  explicit Shared(App& the_app) : app(the_app) {}

  App& app;
  inference::GRPCInferenceService::AsyncService inference;
  grpc::health::v1::Health::AsyncService health;
  std::atomic<bool> is_stopping = false;  ///< calls that last end by themselves
};

}  // namespace tilewise::server
