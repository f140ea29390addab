// A thread with its own event loop and its own connections: nothing of it is shared but what other
// threads hand over.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "server/app.h"
#include "server/handover.h"
#include "server/http/transport.h"

namespace tilewise::server {

class Connection;

/// What the threads of a server have in common.
struct HttpParts {
  App& app;
  TlsContext* tls = nullptr;  ///< null: plain
  std::atomic<int32_t> connections = 0;
};

class IoThread final : public WakeList::Sleeper {
 public:
  explicit IoThread(HttpParts& parts);
  ~IoThread();  ///< stop() first
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  void start();
  boost::asio::io_context& context() { return context_; }

  // From any thread.

  bool is_current() { return context_.get_executor().running_in_this_thread(); }
  /// A connected socket, which is this thread's from now on.
  void adopt(int descriptor, const boost::asio::ip::tcp::endpoint& peer);
  /// The connection's request was answered: resumes it. `wake_later`: once wake() is called.
  void complete(Connection& connection, bool wake_later);
  void wake() override;
  /// Connections end after what they have begun.
  void drain();
  /// Connections end now.
  void abort();
  bool wait_until_empty(Time until);
  /// Ends the thread; there must be no connections.
  void stop();

  // On this thread.

  void remove(Connection& connection);
  bool is_draining() const { return is_draining_; }
  /// Of the last tick: "Tue, 24 Nov 2026 18:00:00 GMT".
  std::string_view date() const { return {date_.data(), date_.size()}; }
  std::mt19937_64& random() { return random_; }

 private:
  void run();
  void open(int descriptor, const boost::asio::ip::tcp::endpoint& peer);
  void arm();
  void tick();
  void update_date();
  void tell_if_empty();

  HttpParts& parts_;
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer timer_;
  std::thread thread_;

  Handover<Connection> completed_;
  std::atomic<int32_t> callers_ = 0;  // inside complete()

  std::unordered_set<std::shared_ptr<Connection>> connections_;
  std::vector<std::shared_ptr<Connection>> due_;
  bool is_ticking_ = false;
  bool is_draining_ = false;
  std::array<char, 29> date_{};
  std::chrono::system_clock::time_point date_second_;
  std::mt19937_64 random_;

  std::mutex mutex_;  // of what follows
  std::condition_variable emptied_;
  int32_t open_ = 0;  // handed over and not gone
};

}  // namespace tilewise::server
