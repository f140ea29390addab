#include "client/connection.h"

#include <cerrno>
#include <cstring>

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tilewise::client {

namespace http = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;

/// Keeps the status of a response and lets the rest go by. For one response.
class ResponseParser final : public http::basic_parser<false> {
 public:
  ResponseParser() {
    eager(true);
    body_limit(boost::none);
  }
  int status() const { return status_; }

 private:
  void on_request_impl(http::verb, string_view, string_view, int, error_code&) override {}
  void on_response_impl(int status, string_view, int, error_code&) override { status_ = status; }
  void on_field_impl(http::field, string_view, string_view, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view body, error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override {
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  int status_ = 0;
};

Result<Endpoint> Endpoint::resolve(const Url& url) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(url.host.c_str(), url.port.c_str(), &wanted, &found);
  if (error != 0) {
    return io_error({.what = "the host of the server has no address",
                     .where = url.host,
                     .found = gai_strerror(error)});
  }
  Endpoint endpoint;
  endpoint.family_ = found->ai_family;
  endpoint.size_ = found->ai_addrlen;
  std::memcpy(endpoint.storage_.data(), found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return endpoint;
}

Connection::Connection() : buffer_(std::make_unique<char[]>(kBufferBytes)) {}

Connection::~Connection() { close(); }

bool Connection::open(const Endpoint& endpoint) {
  close();
  descriptor_ = ::socket(endpoint.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor_ < 0) return false;
  const int on = 1;
  ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  state_ = State::connecting;
  const auto* address = static_cast<const sockaddr*>(endpoint.address());
  if (::connect(descriptor_, address, endpoint.size()) == 0 || errno == EINPROGRESS) return true;
  close();
  return false;
}

void Connection::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  state_ = State::closed;
  unsent_ = {};
  filled_ = 0;
  parser_.reset();
}

bool Connection::send(std::string_view bytes) {
  unsent_ = bytes;
  state_ = State::waiting;
  if (write()) return true;
  close();
  return false;
}

bool Connection::write() {
  while (!unsent_.empty()) {
    const ssize_t written = ::send(descriptor_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno == EAGAIN;
    unsent_.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

Connection::Event Connection::on_ready(bool readable, bool writable) {
  if (state_ == State::connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      close();
      return Event::broken;
    }
    if (!writable) return Event::none;
    state_ = State::idle;
    return Event::connected;
  }
  if (writable && !write()) {
    close();
    return Event::broken;
  }
  return readable ? read() : Event::none;
}

Connection::Event Connection::read() {
  ssize_t count = 0;
  do {
    count = ::recv(descriptor_, buffer_.get() + filled_, kBufferBytes - filled_, 0);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno == EAGAIN) return Event::none;
  // Bytes that nobody asked for break the connection, too.
  if (count < 0 || (count > 0 && state_ != State::waiting)) {
    close();
    return Event::broken;
  }
  return on_bytes(static_cast<size_t>(count));
}

/// `count` more bytes are in the buffer; 0: the server has closed.
Connection::Event Connection::on_bytes(size_t count) {
  error_code error;
  filled_ += count;
  if (filled_ > 0 && parser_ == nullptr) parser_ = std::make_unique<ResponseParser>();
  if (count == 0 && parser_ != nullptr) parser_->put_eof(error);  // a body may end so
  if (count > 0) {
    const size_t used = parser_->put(boost::asio::const_buffer(buffer_.get(), filled_), error);
    filled_ -= used;
    std::memmove(buffer_.get(), buffer_.get() + used, filled_);
    if (error == http::error::need_more) error = {};
  }
  const bool is_done = parser_ != nullptr && !error && parser_->is_done();
  if (!is_done && count > 0 && !error && filled_ < kBufferBytes) return Event::none;
  if (!is_done) {
    close();
    return Event::broken;
  }
  status_ = parser_->status();
  const bool stays = count > 0 && parser_->keep_alive() && filled_ == 0 && unsent_.empty();
  parser_.reset();
  state_ = State::idle;
  if (!stays) close();
  return Event::answered;
}

}  // namespace tilewise::client
