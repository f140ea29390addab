#include "client/load.h"

#include <atomic>
#include <cmath>
#include <functional>
#include <thread>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tilewise::client {
namespace {

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
constexpr const char* kChunked =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
constexpr const char* kBusy = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n";
constexpr const char* kWrong = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
constexpr const char* kLast = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
constexpr const char* kNonsense = "hello\r\n\r\n";
constexpr const char* kHangUp = "";

/// Answers every request of every connection on one thread. A request is whatever one read gives.
class FakeServer {
 public:
  using Answer = std::function<const char*(int64_t number)>;

  explicit FakeServer(Answer answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 512), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    url_ = {.host = "127.0.0.1", .port = std::to_string(ntohs(address.sin_port))};
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeServer() {
    stop_ = true;
    thread_.join();
    ::close(listener_);
  }

  const Url& url() const { return url_; }
  int64_t requests() const { return requests_; }

 private:
  void serve() {
    std::vector<pollfd> sockets = {{.fd = listener_, .events = POLLIN, .revents = 0}};
    while (!stop_) {
      ::poll(sockets.data(), sockets.size(), 10);
      if (sockets[0].revents != 0) {
        sockets.push_back(
            {.fd = ::accept(listener_, nullptr, nullptr), .events = POLLIN, .revents = 0});
      }
      for (size_t i = 1; i < sockets.size(); ++i) {
        if (sockets[i].revents != 0 && !answer_one(sockets[i].fd)) {
          ::close(sockets[i].fd);
          sockets[i].fd = -1;  // poll leaves it out
        }
      }
    }
    for (size_t i = 1; i < sockets.size(); ++i) ::close(sockets[i].fd);
  }

  bool answer_one(int socket) {
    char request[4096];
    if (::recv(socket, request, sizeof request, 0) <= 0) return false;
    const std::string answer = answer_(requests_++);
    ::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL);
    return answer != kHangUp && answer != kLast && answer != kNonsense;
  }

  Answer answer_;
  Url url_;
  int listener_ = -1;
  std::thread thread_;
  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> requests_ = 0;
};

const std::vector<PreparedRequest> kRequests = {{"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"},
                                                {"GET /b HTTP/1.1\r\nHost: x\r\n\r\n"}};

/// Deadlines of hours: nothing here depends on how fast the machine is.
LoadOptions options_for(const FakeServer& server) {
  return {.url = server.url(),
          .rate = 1000,
          .seconds = 0.3,
          .warmup_seconds = 0.1,
          .deadline_ms = 1e7,
          .connections = 8,
          .patience_seconds = 60};
}

TEST(Load, EveryRequestIsAnsweredOnce) {
  FakeServer server([](int64_t number) { return number % 2 == 0 ? kOk : kChunked; });
  const auto result = run_load(options_for(server), kRequests);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->failures, 0);
  EXPECT_EQ(result->reconnects, 0);
  EXPECT_EQ(result->sent, std::ssize(result->accepted));
  EXPECT_EQ(result->in_time, result->sent);
  EXPECT_EQ(result->sent_in_all, server.requests());
  EXPECT_LT(result->sent, result->sent_in_all);  // the warm-up
  EXPECT_NEAR(static_cast<double>(result->sent), 300, 4 * std::sqrt(300.0));
  EXPECT_EQ(result->accepted_of[0] + result->accepted_of[1], result->sent);
  EXPECT_LE(std::abs(result->accepted_of[0] - result->accepted_of[1]), 1);
  EXPECT_TRUE(std::is_sorted(result->accepted.begin(), result->accepted.end()));
  EXPECT_GE(result->latest_send, result->send_lag_p99);
}

TEST(Load, StatusesAreToldApart) {
  FakeServer server([](int64_t number) {
    return number % 4 == 1 ? kBusy : number % 4 == 3 ? kWrong : kOk;
  });
  LoadOptions options = options_for(server);
  options.warmup_seconds = 0;
  const auto result = run_load(options, kRequests);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(std::ssize(result->accepted), (result->sent + 1) / 2);
  EXPECT_EQ(std::ssize(result->refused), (result->sent + 2) / 4);
  EXPECT_EQ(result->failures, result->sent / 4);
  EXPECT_EQ(result->statuses.at(429), std::ssize(result->refused));
  EXPECT_EQ(result->statuses.at(404), result->failures);
}

TEST(Load, BrokenConnectionsAreOpenedAgain) {
  for (const char* end : {kHangUp, kNonsense}) {
    FakeServer server([end](int64_t number) { return number % 10 == 9 ? end : kOk; });
    LoadOptions options = options_for(server);
    options.warmup_seconds = 0;
    const auto result = run_load(options, kRequests);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->failures, result->sent / 10);
    EXPECT_GE(result->reconnects, result->failures);
    EXPECT_EQ(std::ssize(result->accepted), result->sent - result->failures);
  }
}

TEST(Load, AServerThatClosesAfterAnAnswerHasAnswered) {
  FakeServer server([](int64_t number) { return number % 5 == 4 ? kLast : kOk; });
  const auto result = run_load(options_for(server), kRequests);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->failures, 0);
  EXPECT_GE(result->reconnects, result->sent / 5);
}

TEST(Load, WaitingForAConnectionCounts) {
  // One connection and a server that needs 5 ms for each: 0.1 s of requests wait for half a second.
  FakeServer server([](int64_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return kOk;
  });
  LoadOptions options = options_for(server);
  options.warmup_seconds = 0;
  options.seconds = 0.1;
  options.connections = 1;
  const auto result = run_load(options, kRequests);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->failures, 0);
  // The last of n answers comes n times 5 ms after the start at the soonest, and was due by 0.1 s.
  EXPECT_GE(result->accepted.back(), 0.005 * static_cast<double>(result->sent) - 0.1);
}

TEST(Load, ASearchEndsEarlyWhereNothingCanBeWon) {
  FakeServer server([](int64_t) { return kBusy; });
  LoadOptions options = options_for(server);
  options.stop_when_hopeless = true;
  options.rate = 100;  // ten of a thousand may be late
  options.seconds = 10;
  const auto result = run_load(options, kRequests);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->stopped_early);
  EXPECT_LT(std::ssize(result->refused), 20);
}

TEST(Load, NobodyListens) {
  Url url;
  {
    url = FakeServer([](int64_t) { return kOk; }).url();
  }
  const auto result = run_load({.url = url, .seconds = 0.1}, kRequests);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), StatusCode::io_error);
  EXPECT_EQ(send_once(url, kRequests[0]).status().code(), StatusCode::io_error);
}

TEST(Load, NothingToSend) {
  EXPECT_EQ(run_load({}, {}).status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(run_load({.url = {}, .rate = 0}, kRequests).status().code(),
            StatusCode::invalid_argument);
}

TEST(SendOnce, GivesStatusAndBody) {
  FakeServer server([](int64_t number) {
    return number == 0 ? kChunked : number == 1 ? kWrong : kNonsense;
  });
  const auto first = send_once(server.url(), kRequests[0]);
  ASSERT_TRUE(first.ok()) << first.status().message();
  EXPECT_EQ(first->status, 200);
  EXPECT_EQ(first->body, "{}");
  EXPECT_EQ(send_once(server.url(), kRequests[0])->status, 404);
  EXPECT_EQ(send_once(server.url(), kRequests[0]).status().code(), StatusCode::io_error);
}

TEST(Percentile, NearestRank) {
  const std::vector<double> values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_EQ(percentile(values, 0.5), 5);
  EXPECT_EQ(percentile(values, 0.99), 10);
  EXPECT_EQ(percentile(values, 0), 1);
  EXPECT_EQ(percentile(values, 1), 10);
  EXPECT_TRUE(std::isnan(percentile({}, 0.5)));
}

}  // namespace
}  // namespace tilewise::client
