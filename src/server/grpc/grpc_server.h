// inference.GRPCInferenceService (KServe v2 with Triton's extensions) and grpc.health.v1.
#pragma once

#include <chrono>
#include <memory>

#include "base/status.h"
#include "server/app.h"

namespace tilewise::server {

/// Thread-safe.
class GrpcServer {
 public:
  /// Listens at once; calls are UNAVAILABLE until App says ready. Errors: io_error where the port
  /// is taken, invalid_input for TLS files.
  static Result<std::unique_ptr<GrpcServer>> start(App& app);
  ~GrpcServer();

  int32_t port() const;

  /// grpc.health.v1 follows the phase of App: call it when that changes.
  void update_health();

  /// No new calls; returns when those that run are answered, or cancelled after `wait`: false then.
  /// A model that is being loaded is waited for in any case, those whose load has not begun are not
  /// loaded. Server::drain() says what clients see.
  bool stop(std::chrono::milliseconds wait);

 private:
  struct State;
  explicit GrpcServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::server
