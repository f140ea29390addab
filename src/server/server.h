// A running server: service, repository, HTTP and gRPC together, from start to drain.
#pragma once

#include <functional>
#include <memory>

#include "base/status.h"
#include "server/settings.h"

namespace tilewise::server {

/// Thread-safe.
class Server {
 public:
  /// Starts the replicas, listens (not ready yet), loads the models and becomes ready. Errors:
  /// those of Service::start and Repository::open; io_error where a port is taken; invalid_input
  /// for TLS files.
  static Result<std::unique_ptr<Server>> start(const Settings& settings);

  /// Drains first if that has not been done.
  ~Server();

  int32_t port() const;
  int32_t grpc_port() const;     ///< negative: none
  std::string describe() const;  ///< one line for people: addresses, replicas, models

  /// Not ready any more, no new connections; returns when what was accepted has been answered, or
  /// the drain time is over. False in that case.
  bool drain();

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::server
