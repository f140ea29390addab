// One connection: reads requests, has them answered, writes responses, and ends in time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "server/exchange.h"
#include "server/http/gate.h"
#include "server/http/io_thread.h"
#include "server/http/request_parser.h"
#include "server/http/transport.h"
#include "server/router.h"
#include "server/trace_context.h"

namespace tilewise::server {

/// Lives on one I/O thread. A read is always under way while there is room for bytes, also while a
/// request waits for its answer: so a client that goes away is noticed, and the bytes of the next
/// request are there when it is their turn.
class Connection final : public Exchange,
                         public TransportUser,
                         public Handover<Connection>::Node,
                         public std::enable_shared_from_this<Connection> {
 public:
  /// `is_surplus`: more are open than may be; it is told so and closed.
  Connection(HttpParts& parts, IoThread& thread, int descriptor,
             const boost::asio::ip::tcp::endpoint& peer, bool is_surplus);
  ~Connection() override;

  /// The whole life of the connection.
  boost::asio::awaitable<void> run();

  // What the thread tells.

  Time due() const { return due_; }
  void expire();       ///< due() has passed
  void drain();        ///< ends after the request that it has begun
  void abort();        ///< ends now
  void on_answered();  ///< after IoThread::complete()
  void leave();        ///< after run()

  boost::asio::awaitable<void> answer() override;

 private:
  enum class Stage { handshake, idle, receiving, answering, writing, lingering };

  void on_ready(bool ok) override;
  void on_read(size_t size) override;
  void on_written(bool ok) override;

  auto wait();
  void wake();
  void enter(Stage stage, Duration at_most);
  void ensure_reading(bool may_grow);
  bool receive(bool is_head);

  void begin_request();
  boost::asio::awaitable<void> serve();
  boost::asio::awaitable<void> receive_request();
  boost::asio::awaitable<void> call_endpoint();
  boost::asio::awaitable<void> send(std::string_view head, std::string_view body);
  boost::asio::awaitable<void> respond();
  boost::asio::awaitable<void> linger();
  void choose_request_id();
  void record(Time answered) const;
  void log(Time answered) const;

  HttpParts& parts_;
  IoThread& thread_;
  const boost::asio::ip::tcp::endpoint peer_;
  const bool is_surplus_;
  std::unique_ptr<Transport> transport_;

  // The bytes that have arrived and were not taken: [begin_, end_) of buffer_.
  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool is_reading_ = false;
  Time last_read_;

  std::optional<boost::asio::async_result<boost::asio::use_awaitable_t<>, void()>::handler_type>
      waiter_;
  Stage stage_ = Stage::handshake;
  Time due_ = Time::max();
  bool is_ready_ = false;       // the handshake is done
  bool is_written_ = false;     // what was to be written is
  bool has_expired_ = false;    // the request took too long to arrive
  bool client_ended_ = false;   // nothing more will arrive
  bool is_over_ = false;        // nothing more can be done
  bool is_answered_ = true;     // nothing is with the service
  bool is_in_service_ = false;  // this thread calls it just now
  bool has_left_ = false;       // run() has ended

  // The request.
  RequestParser parser_;
  Route route_;
  std::vector<std::string> decoded_;
  std::optional<Refusal> refusal_;
  std::optional<TraceContext> trace_;
  bool must_close_ = false;
  Time arrived_;  // its last byte
  std::string head_;
};

}  // namespace tilewise::server
