// One keep-alive connection of the load generator: a request at a time, without blocking.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/status.h"
#include "client/url.h"

namespace tilewise::client {

/// An address of the url's host, so that a name is looked up once.
class Endpoint {
 public:
  /// Errors: io_error where the host has no address.
  static Result<Endpoint> resolve(const Url& url);
  int family() const { return family_; }
  const void* address() const { return storage_.data(); }
  uint32_t size() const { return size_; }

 private:
  alignas(8) std::array<unsigned char, 128> storage_ = {};
  uint32_t size_ = 0;
  int family_ = 0;
};

class ResponseParser;

/// Owns its socket. Not thread-safe.
class Connection {
 public:
  enum class State : uint8_t { closed, connecting, idle, waiting };
  /// What happened on the socket.
  enum class Event : uint8_t { none, connected, answered, broken };

  Connection();
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Begins to connect; false where that failed at once. `connecting` ends with on_ready().
  bool open(const Endpoint& endpoint);
  void close();

  /// Only when idle. `bytes` must stay until the answer has come. False: broken.
  bool send(std::string_view bytes);

  /// The socket can be read or written. After `answered`, status() is the answer's, and the
  /// connection is idle again or, where the server closes it, closed.
  Event on_ready(bool readable, bool writable);

  State state() const { return state_; }
  int descriptor() const { return descriptor_; }
  int status() const { return status_; }
  /// Whether the socket should also be watched for being writable.
  bool wants_to_write() const { return state_ == State::connecting || !unsent_.empty(); }

 private:
  bool write();
  Event read();
  Event on_bytes(size_t count);

  static constexpr size_t kBufferBytes = 16 << 10;

  int descriptor_ = -1;
  State state_ = State::closed;
  int status_ = 0;
  std::string_view unsent_;
  std::unique_ptr<char[]> buffer_;
  size_t filled_ = 0;  // of the buffer: what the parser has not taken yet
  std::unique_ptr<ResponseParser> parser_;
};

}  // namespace tilewise::client
