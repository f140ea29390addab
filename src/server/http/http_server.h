// HTTP/1.1: connections, limits, TLS, keys, logs; what is asked goes to the endpoints of router.h.
#pragma once

#include <chrono>
#include <memory>

#include "base/status.h"
#include "server/app.h"

namespace tilewise::server {

/// Thread-safe.
class HttpServer {
 public:
  /// Listens and serves at once, on its own threads. Errors: io_error where the port is taken,
  /// invalid_input for TLS files.
  static Result<std::unique_ptr<HttpServer>> start(App& app);
  ~HttpServer();

  int32_t port() const;

  /// No new connections; those that are idle are closed, others after their response. Returns when
  /// all are, or after `wait`: false then.
  bool stop(std::chrono::milliseconds wait);

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::server
