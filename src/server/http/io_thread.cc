#include "server/http/io_thread.h"

#include <chrono>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <fmt/chrono.h>
#include <unistd.h>

#include "base/log.h"
#include "server/http/connection.h"

namespace tilewise::server {
namespace {

namespace asio = boost::asio;

/// How exact the limits of time are.
constexpr std::chrono::milliseconds kTick{50};

/// Handlers that run before another thread of this core may.
constexpr int kMostInARow = 256;

/// So many connections beyond the limit are still told so.
constexpr int32_t kMostSurplus = 64;

/// So that the ids of no two threads, of this server or another, are alike.
std::mt19937_64 seeded() {
  std::random_device device;
  std::seed_seq seed{device(), device(), device(), device()};
  return std::mt19937_64(seed);
}

}  // namespace

IoThread::IoThread(HttpParts& parts)
    : parts_(parts),
      // Other threads post to the loop, but only this one does input and output.
      context_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      work_(context_.get_executor()),
      timer_(context_),
      random_(seeded()) {
  update_date();
}

IoThread::~IoThread() {
  stop();
  while (callers_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
}

void IoThread::start() {
  thread_ = std::thread([this] { run(); });
}

void IoThread::stop() {
  if (!thread_.joinable()) return;
  asio::post(context_, [this] {
    work_.reset();
    timer_.cancel();
    context_.stop();
  });
  thread_.join();
}

void IoThread::run() {
  for (;;) {
    try {
      while (context_.run_one() > 0) {
        for (int ready = 1; ready < kMostInARow && context_.poll_one() > 0;) ++ready;
        // A replica may live on this core: a flood of requests must not keep it from running.
        std::this_thread::yield();
      }
      return;
    } catch (const std::exception& error) {
      log_error(fmt::format("HTTP: {}", error.what()));
    }
  }
}

void IoThread::adopt(int descriptor, const asio::ip::tcp::endpoint& peer) {
  {
    const std::lock_guard lock(mutex_);
    ++open_;
  }
  if (is_current()) return open(descriptor, peer);
  asio::post(context_, [this, descriptor, peer] { open(descriptor, peer); });
}

void IoThread::open(int descriptor, const asio::ip::tcp::endpoint& peer) {
  const int32_t most = parts_.app.settings.limits.connections;
  const int32_t before = parts_.connections.fetch_add(1, std::memory_order_relaxed);
  if (before >= most + kMostSurplus) {
    parts_.connections.fetch_sub(1, std::memory_order_relaxed);
    ::close(descriptor);
    return tell_if_empty();
  }
  auto connection = std::make_shared<Connection>(parts_, *this, descriptor, peer, before >= most);
  connections_.insert(connection);
  parts_.app.metrics.on_connection(1);
  asio::co_spawn(context_, connection->run(),
                 [connection](const std::exception_ptr&) { connection->leave(); });
  arm();
}

void IoThread::remove(Connection& connection) {
  parts_.app.metrics.on_connection(-1);
  parts_.connections.fetch_sub(1, std::memory_order_relaxed);
  connections_.erase(connection.shared_from_this());
  tell_if_empty();
}

void IoThread::tell_if_empty() {
  const std::lock_guard lock(mutex_);
  if (--open_ == 0) emptied_.notify_all();
}

void IoThread::complete(Connection& connection, bool wake_later) {
  // Until this returns, the thread must not go, although the connection may.
  callers_.fetch_add(1, std::memory_order_acquire);
  completed_.put(connection);
  if (!wake_later) wake();
  callers_.fetch_sub(1, std::memory_order_release);
}

void IoThread::wake() {
  if (!completed_.needs_wake()) return;
  asio::post(context_,
             [this] { completed_.take([](Connection& connection) { connection.on_answered(); }); });
}

void IoThread::drain() {
  asio::post(context_, [this] {
    is_draining_ = true;
    for (const auto& connection : connections_) connection->drain();
  });
}

void IoThread::abort() {
  asio::post(context_, [this] {
    is_draining_ = true;
    due_.assign(connections_.begin(), connections_.end());
    for (const auto& connection : due_) connection->abort();
    due_.clear();
  });
}

bool IoThread::wait_until_empty(Time until) {
  std::unique_lock lock(mutex_);
  return emptied_.wait_until(lock, until, [this] { return open_ == 0; });
}

void IoThread::arm() {
  if (is_ticking_) return;
  is_ticking_ = true;
  timer_.expires_after(kTick);
  timer_.async_wait([this](const boost::system::error_code& ec) {
    is_ticking_ = false;
    if (!ec) tick();
  });
}

void IoThread::tick() {
  update_date();
  const Time now = parts_.app.clock.now();
  for (const auto& connection : connections_) {
    if (connection->due() <= now) due_.push_back(connection);
  }
  for (const auto& connection : due_) connection->expire();
  due_.clear();
  if (!connections_.empty()) arm();
}

void IoThread::update_date() {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  if (now == date_second_) return;
  date_second_ = now;
  fmt::format_to_n(date_.data(), date_.size(), "{:%a, %d %b %Y %H:%M:%S} GMT",
                   fmt::gmtime(std::chrono::system_clock::to_time_t(now)));
}

}  // namespace tilewise::server
