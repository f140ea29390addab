#include "server/http/http_server.h"

#include <algorithm>
#include <cerrno>
#include <future>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <sys/socket.h>

#include "base/log.h"
#include "server/http/connection.h"
#include "server/http/io_thread.h"
#include "server/http/transport.h"

namespace tilewise::server {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// How long to wait when there is no descriptor left for a connection.
constexpr std::chrono::milliseconds kPause{100};

Result<tcp::endpoint> endpoint_of(const Settings& settings) {
  error_code ec;
  const auto address = asio::ip::make_address(settings.address, ec);
  if (!ec) return tcp::endpoint(address, static_cast<asio::ip::port_type>(settings.port));
  return invalid_argument({.what = "the address to listen on is malformed",
                           .where = "--address",
                           .expected = "an IPv4 or IPv6 address of this machine",
                           .found = settings.address});
}

/// Takes connections as they come and deals them out to the threads in turn. Lives on the first.
class Listener {
 public:
  Listener(asio::io_context& context, std::vector<std::unique_ptr<IoThread>>& threads)
      : acceptor_(context), timer_(context), threads_(threads) {}

  Status listen(const tcp::endpoint& endpoint) {
    error_code ec;
    acceptor_.open(endpoint.protocol(), ec);
    if (!ec) acceptor_.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor_.bind(endpoint, ec);
    if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
    if (!ec) acceptor_.non_blocking(true, ec);
    if (!ec) return {};
    return io_error(
        {.what = "cannot listen for HTTP",
         .where = fmt::format("{} port {}", endpoint.address().to_string(), endpoint.port()),
         .found = ec.message(),
         .remedy = "--port 0 takes any free port"});
  }

  int32_t port() const {
    error_code ignored;
    return acceptor_.local_endpoint(ignored).port();
  }

  void wait() {
    acceptor_.async_wait(tcp::acceptor::wait_read, [this](const error_code& ec) {
      if (!ec) take_all();
    });
  }

  /// Those that wait already are still taken.
  void close() {
    if (!acceptor_.is_open()) return;
    take_all();
    error_code ignored;
    acceptor_.close(ignored);
    timer_.cancel();
  }

 private:
  void take_all() {
    for (;;) {
      tcp::endpoint peer;
      auto size = static_cast<socklen_t>(peer.capacity());
      const int descriptor =
          ::accept4(acceptor_.native_handle(), peer.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (descriptor < 0) {
        if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
        return errno == EAGAIN || errno == EWOULDBLOCK ? wait() : pause(errno);
      }
      threads_[next_++ % threads_.size()]->adopt(descriptor, peer);
    }
  }

  void pause(int error) {
    log_warn(fmt::format("HTTP: cannot take a connection: {}", errno_text(error)));
    timer_.expires_after(kPause);
    timer_.async_wait([this](const error_code& ec) {
      if (!ec) take_all();
    });
  }

  tcp::acceptor acceptor_;
  asio::steady_timer timer_;
  std::vector<std::unique_ptr<IoThread>>& threads_;
  size_t next_ = 0;
};

}  // namespace

struct HttpServer::State {
  explicit State(App& app) : parts{.app = app} {}

  HttpParts parts;
  std::unique_ptr<TlsContext> tls;
  std::vector<std::unique_ptr<IoThread>> threads;
  std::unique_ptr<Listener> listener;  // goes before the threads
  int32_t port = 0;

  bool wait_until_empty(Time until) {
    return std::all_of(threads.begin(), threads.end(),
                       [&](const auto& thread) { return thread->wait_until_empty(until); });
  }
};

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<HttpServer>> HttpServer::start(App& app) {
  const Settings& settings = app.settings;
  auto state = std::make_unique<State>(app);
  if (!settings.tls.certificate.empty()) {
    TILEWISE_ASSIGN_OR_RETURN(state->tls, TlsContext::open(settings.tls));
    state->parts.tls = state->tls.get();
  }
  TILEWISE_ASSIGN_OR_RETURN(const tcp::endpoint endpoint, endpoint_of(settings));
  try {
    for (int32_t i = 0; i < std::max(1, settings.io_threads); ++i) {
      state->threads.push_back(std::make_unique<IoThread>(state->parts));
    }
    state->listener = std::make_unique<Listener>(state->threads.front()->context(), state->threads);
    TILEWISE_RETURN_IF_ERROR(state->listener->listen(endpoint));
    state->port = state->listener->port();
    state->listener->wait();
    for (const auto& thread : state->threads) thread->start();
    if (app.wakes != nullptr) {
      for (const auto& thread : state->threads) app.wakes->add(*thread);
    }
  } catch (const std::exception& error) {
    for (const auto& thread : state->threads) thread->stop();
    return unavailable_machine(
        {.what = "the HTTP server cannot be started", .found = error.what()});
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::~HttpServer() {
  stop(std::chrono::milliseconds(0));
  for (const auto& thread : state_->threads) {
    if (WakeList* wakes = state_->parts.app.wakes; wakes != nullptr) wakes->remove(*thread);
    thread->stop();
  }
}

int32_t HttpServer::port() const { return state_->port; }

bool HttpServer::stop(std::chrono::milliseconds wait) {
  State& s = *state_;
  const Time until = s.parts.app.clock.now() + wait;
  std::promise<void> closed;
  asio::post(s.threads.front()->context(), [&s, &closed] {
    s.listener->close();
    for (const auto& thread : s.threads) thread->drain();  // after those that were just taken
    closed.set_value();
  });
  closed.get_future().wait();
  if (s.wait_until_empty(until)) return true;
  for (const auto& thread : s.threads) thread->abort();
  // What is in a pass just now is waited for: it is a matter of milliseconds.
  s.wait_until_empty(Time::max());
  return false;
}

}  // namespace tilewise::server
