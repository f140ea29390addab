// The bytes of one connection, plain or through TLS.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>

#include "base/status.h"
#include "server/settings.h"

namespace tilewise::server {

/// Told of what a transport has done, from the loop of its I/O thread, never from within a call.
class TransportUser {
 public:
  virtual ~TransportUser() = default;
  virtual void on_ready(bool ok) = 0;     ///< after start()
  virtual void on_read(size_t size) = 0;  ///< 0: the other side has ended, or it failed
  virtual void on_written(bool ok) = 0;
};

/// Belongs to one I/O thread. `owner` keeps user and buffers alive until the answer.
class Transport {
 public:
  virtual ~Transport() = default;

  /// The handshake; false where there is none, and nobody is told.
  virtual bool start(std::shared_ptr<TransportUser> owner) = 0;

  /// At least one byte into `buffer`. One at a time.
  virtual void read(std::span<char> buffer, std::shared_ptr<TransportUser> owner) = 0;

  enum class Written { done, later, failed };
  /// Head and body, as one piece where possible. `later`: on_written() follows, and both must stay
  /// until then. One at a time, beside a read.
  virtual Written write(std::string_view head, std::string_view body,
                        std::shared_ptr<TransportUser> owner) = 0;

  /// The other side sees an end; reading goes on.
  virtual void end_writing(std::shared_ptr<TransportUser> owner) = 0;
  /// What was written still goes out. What is under way fails.
  virtual void close() = 0;
  /// What the other side has not taken is dropped: nothing of a client that takes nothing stays.
  virtual void reset() = 0;
};

/// Certificate and key, read once. Thread-safe.
class TlsContext {
 public:
  /// TLS 1.2 and later. Errors: invalid_input.
  static Result<std::unique_ptr<TlsContext>> open(const TlsFiles& files);
  ~TlsContext();

 private:
  friend std::unique_ptr<Transport> make_transport(boost::asio::io_context&, int, TlsContext*);
  struct State;
  explicit TlsContext(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Takes the connected socket `descriptor`. `tls`: null for plain connections; outlives this.
std::unique_ptr<Transport> make_transport(boost::asio::io_context& context, int descriptor,
                                          TlsContext* tls);

}  // namespace tilewise::server
