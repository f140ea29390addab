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
  /// the drain time is over: what is left is cancelled then, and the return value is false. A model
  /// that is being loaded is waited for even so: nothing can stop that half way.
  ///
  /// What still arrives on a connection that is open:
  /// - HTTP answers it, with `Connection: close`, and closes idle connections. The protocol has no
  ///   other way to say so: a client cannot know whether a request on a connection that is closed
  ///   was carried out.
  /// - gRPC refuses it with UNAVAILABLE, messages of streams that are open as well; GOAWAY tells
  ///   the client to ask elsewhere. What it had asked before is answered.
  bool drain();

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::server
