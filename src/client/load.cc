#include "client/load.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <limits>
#include <optional>

#include <sched.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/topology.h"
#include "client/connection.h"
#include "client/schedule.h"

namespace tilewise::client {
namespace {

using std::chrono::nanoseconds;

constexpr Duration kConnectTime = std::chrono::seconds(5);
constexpr Duration kReconnectPause = std::chrono::milliseconds(10);

/// The calling thread on one processor and with exact timers, until the end of the scope.
class ThreadSettings {
 public:
  ThreadSettings() {
    sched_getaffinity(0, sizeof before_, &before_);
    prctl(PR_SET_TIMERSLACK, 1UL);
  }
  ~ThreadSettings() {
    sched_setaffinity(0, sizeof before_, &before_);
    prctl(PR_SET_TIMERSLACK, 0UL);  // back to the default
  }
  ThreadSettings(const ThreadSettings&) = delete;
  ThreadSettings& operator=(const ThreadSettings&) = delete;

  Status pin(int32_t cpu) { return cpu < 0 ? Status() : pin_current_thread(cpu); }

 private:
  cpu_set_t before_{};
};

/// epoll with waits of nanoseconds.
class Poll {
 public:
  Poll() : descriptor_(epoll_create1(EPOLL_CLOEXEC)) {}
  ~Poll() { ::close(descriptor_); }
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;

  void watch(int descriptor, uint32_t number, bool also_writable, bool is_new) {
    epoll_event event{};
    event.events = EPOLLIN | (also_writable ? uint32_t{EPOLLOUT} : 0U);
    event.data.u32 = number;
    epoll_ctl(descriptor_, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, &event);
  }

  std::vector<epoll_event>& wait(Duration most) {
    const auto whole = std::max<int64_t>(0, nanoseconds(most).count());
    const timespec time{.tv_sec = static_cast<time_t>(whole / 1'000'000'000),
                        .tv_nsec = static_cast<long>(whole % 1'000'000'000)};
    events_.resize(kMostEvents);
    int count = epoll_pwait2(descriptor_, events_.data(), kMostEvents, &time, nullptr);
    if (count < 0 && errno == ENOSYS) {  // Linux before 5.11: the last millisecond is spent awake
      count = epoll_wait(descriptor_, events_.data(), kMostEvents,
                         static_cast<int>(std::min<int64_t>(whole / 1'000'000, 1000)));
    }
    events_.resize(static_cast<size_t>(std::max(count, 0)));
    return events_;
  }

 private:
  static constexpr int kMostEvents = 64;
  int descriptor_;
  std::vector<epoll_event> events_;
};

class Load {
 public:
  Load(const LoadOptions& options, const std::vector<PreparedRequest>& requests,
       const Endpoint& endpoint)
      : options_(options),
        requests_(requests),
        endpoint_(endpoint),
        schedule_(
            poisson_schedule(options.rate, options.warmup_seconds + options.seconds, options.seed)),
        first_counted_(static_cast<size_t>(
            std::lower_bound(schedule_.begin(), schedule_.end(),
                             nanoseconds(static_cast<int64_t>(options.warmup_seconds * 1e9))) -
            schedule_.begin())),
        connections_(static_cast<size_t>(options.connections)),
        request_of_(connections_.size()) {
    result_.rate = options.rate;
    result_.seconds = options.seconds;
    result_.accepted_of.resize(requests.size());
    result_.accepted.reserve(schedule_.size());
    lags_.reserve(schedule_.size());
    free_.reserve(connections_.size());
    closed_.reserve(connections_.size());
  }

  Status connect() {
    for (uint32_t i = 0; i < connections_.size(); ++i) open(i);
    const Time end = clock_.now() + kConnectTime;
    while (free_.size() < connections_.size() && clock_.now() < end) {
      handle_events(std::min<Duration>(end - clock_.now(), kReconnectPause));
      reopen();
      if (free_.empty() && result_.reconnects > options_.connections) break;  // refused by all
    }
    result_.reconnects = 0;
    if (!free_.empty()) return {};
    return io_error({.what = "no server answers",
                     .where = options_.url.host + ":" + options_.url.port,
                     .expected = "a connection within 5 seconds",
                     .remedy = "Start the server first, and check host and port"});
  }

  LoadResult run() {
    start_ = clock_.now();
    std::optional<Time> last_left;
    while (answered_ < schedule_.size() && !result_.stopped_early) {
      send_due();
      Time until = next_due_ < schedule_.size() ? moment(next_due_) : Time::max();
      if (next_sent_ == schedule_.size() || next_due_ == schedule_.size()) {
        if (!last_left) last_left = clock_.now();
        until = *last_left + patience();
        if (clock_.now() >= until) break;
      }
      if (!closed_.empty()) until = std::min(until, next_reopen_);
      handle_events(until - clock_.now());
      reopen();
    }
    return finish();
  }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  Duration patience() const {
    return nanoseconds(static_cast<int64_t>(options_.patience_seconds * 1e9));
  }
  Time moment(size_t number) const { return start_ + schedule_[number]; }
  bool is_counted(size_t number) const { return number >= first_counted_; }

  void open(uint32_t number) {
    request_of_[number] = kNone;
    Connection& connection = connections_[number];
    if (connection.open(endpoint_)) {
      poll_.watch(connection.descriptor(), number, true, true);
    } else {
      on_closed(number);
    }
  }

  void on_closed(uint32_t number) {
    ++result_.reconnects;
    if (closed_.empty()) next_reopen_ = clock_.now() + kReconnectPause;
    closed_.push_back(number);
  }

  void reopen() {
    if (closed_.empty() || clock_.now() < next_reopen_) return;
    reopening_.swap(closed_);
    for (const uint32_t number : reopening_) open(number);
    reopening_.clear();
  }

  /// Sends all that should have left by now, as far as connections are free.
  void send_due() {
    for (Time now = clock_.now(); next_due_ < schedule_.size() && moment(next_due_) <= now;) {
      if (is_counted(next_due_)) {
        lags_.push_back(static_cast<float>(seconds_between(moment(next_due_), now)));
      }
      ++next_due_;
      if (next_due_ == schedule_.size() || moment(next_due_) > now) now = clock_.now();
    }
    while (next_sent_ < next_due_ && !free_.empty()) {
      const uint32_t number = free_.back();
      free_.pop_back();
      send_on(number);
    }
  }

  void send_on(uint32_t number) {
    Connection& connection = connections_[number];
    if (connection.state() != Connection::State::idle) return;
    const size_t request = next_sent_++;
    request_of_[number] = request;
    if (connection.send(requests_[request % requests_.size()].bytes)) {
      if (connection.wants_to_write()) poll_.watch(connection.descriptor(), number, true, false);
      return;
    }
    fail(number);
    on_closed(number);
  }

  void handle_events(Duration most) {
    for (const epoll_event& event : poll_.wait(most)) {
      on_event(event);
      if (next_due_ < schedule_.size() && start_ != Time()) send_due();
    }
  }

  void on_event(const epoll_event& event) {
    const uint32_t number = event.data.u32;
    Connection& connection = connections_[number];
    if (connection.state() == Connection::State::closed) return;
    const bool was_writing = connection.wants_to_write();
    const bool was_idle = connection.state() == Connection::State::idle;
    switch (connection.on_ready((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0,
                                (event.events & EPOLLOUT) != 0)) {
      case Connection::Event::none:
        break;
      case Connection::Event::connected:
        free_.push_back(number);
        break;
      case Connection::Event::answered:
        on_answer(number);
        if (connection.state() == Connection::State::idle) free_.push_back(number);
        break;
      case Connection::Event::broken:
        if (was_idle) std::erase(free_, number);
        if (request_of_[number] != kNone) fail(number);
        break;
    }
    if (connection.state() == Connection::State::closed) {
      on_closed(number);
    } else if (was_writing && !connection.wants_to_write()) {
      poll_.watch(connection.descriptor(), number, false, false);
    }
  }

  void on_answer(uint32_t number) {
    const size_t request = request_of_[number];
    request_of_[number] = kNone;
    ++answered_;
    if (!is_counted(request)) return;
    const int status = connections_[number].status();
    const double latency = seconds_between(moment(request), clock_.now());
    ++result_.statuses[status];
    if (status == 200) {
      result_.accepted.push_back(latency);
      ++result_.accepted_of[request % requests_.size()];
      if (latency * 1e3 < options_.deadline_ms) {
        ++result_.in_time;
      } else {
        miss();
      }
      return;
    }
    if (status == 429 || status == 503) {
      result_.refused.push_back(latency);
    } else {
      ++result_.failures;
    }
    miss();
  }

  /// The request on this connection will never be answered.
  void fail(uint32_t number) {
    const size_t request = request_of_[number];
    request_of_[number] = kNone;
    ++answered_;
    if (!is_counted(request)) return;
    ++result_.failures;
    miss();
  }

  void miss() {
    ++missed_;
    const auto counted = static_cast<double>(schedule_.size() - first_counted_);
    if (options_.stop_when_hopeless && static_cast<double>(missed_) > std::max(1.0, counted * 0.01))
      result_.stopped_early = true;
  }

  LoadResult finish() {
    result_.sent_in_all = static_cast<int64_t>(next_sent_);
    result_.sent = static_cast<int64_t>(next_sent_ - std::min(next_sent_, first_counted_));
    if (!result_.stopped_early) {  // those that wait in vain, here or there
      const auto all = static_cast<int64_t>(schedule_.size() - first_counted_);
      result_.failures = all - static_cast<int64_t>(result_.accepted.size()) -
                         static_cast<int64_t>(result_.refused.size());
    }
    std::sort(result_.accepted.begin(), result_.accepted.end());
    std::sort(result_.refused.begin(), result_.refused.end());
    if (!lags_.empty()) {
      std::sort(lags_.begin(), lags_.end());
      result_.latest_send = lags_.back();
      result_.send_lag_p99 = lags_[lags_.size() * 99 / 100];
    }
    return std::move(result_);
  }

  const LoadOptions& options_;
  const std::vector<PreparedRequest>& requests_;
  const Endpoint& endpoint_;
  const std::vector<nanoseconds> schedule_;
  const size_t first_counted_;
  const SteadyClock clock_;
  Poll poll_;
  std::vector<Connection> connections_;
  std::vector<size_t> request_of_;  // of each connection: its place in the schedule, or kNone
  std::vector<uint32_t> free_, closed_, reopening_;
  std::vector<float> lags_;
  Time start_;
  Time next_reopen_;
  size_t next_due_ = 0;   // the first that need not have left yet
  size_t next_sent_ = 0;  // the first that has not left; up to next_due_ they wait for connections
  size_t answered_ = 0;   // or failed
  int64_t missed_ = 0;
  LoadResult result_;
};

}  // namespace

double percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1];
}

Result<LoadResult> run_load(const LoadOptions& options,
                            const std::vector<PreparedRequest>& requests) {
  if (requests.empty() || !(options.rate > 0) || !(options.seconds > 0) ||
      options.connections < 1) {
    return invalid_argument({.what = "a load needs requests, a rate, a duration and connections"});
  }
  TILEWISE_ASSIGN_OR_RETURN(const Endpoint endpoint, Endpoint::resolve(options.url));
  ThreadSettings thread;
  TILEWISE_RETURN_IF_ERROR(thread.pin(options.cpu));
  Load load(options, requests, endpoint);
  TILEWISE_RETURN_IF_ERROR(load.connect());
  return load.run();
}

}  // namespace tilewise::client
