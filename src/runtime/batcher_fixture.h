// A server that is not there: a clock that is set, replicas that take as long as is asked, clients
// that send and wait.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "runtime/batcher.h"

namespace tilewise::runtime {

class FakeClock final : public Clock {
 public:
  Time now() const override { return now_; }
  void set(Time now) { now_ = now; }
  void advance(Duration by) { now_ += by; }

 private:
  Time now_ = Time(std::chrono::hours(30 * 24));  // as of a machine that has been up for a month
};

inline Duration seconds_long(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

/// Exactly: fixed + per_token * tokens + per_square * squares.
inline PassTime pass_time_of(double fixed, double per_token, double per_square = 0) {
  std::vector<PassSample> samples;
  for (const int32_t count : {1, 4, 16}) {
    for (const int32_t length : {8, 64, 512}) {
      PassShape shape;
      for (int i = 0; i < count; ++i) shape.add(length);
      samples.push_back({shape, fixed + per_token * static_cast<double>(shape.tokens) +
                                    per_square * static_cast<double>(shape.squares)});
    }
  }
  return PassTime::fit(samples);
}

/// A job with its works.
struct Client {
  Job job;
  std::vector<Work> works;
  bool is_admitted = false;
  int returned = 0;  // how often it was handed back

  Client(Lane& lane, const std::vector<int32_t>& lengths, Time deadline,
         Priority priority = Priority::interactive) {
    for (const int32_t length : lengths) works.push_back({.tokens = length});
    job.lane = &lane;
    job.priority = priority;
    job.deadline = deadline;
    job.works = works;
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
};

/// Clients that send at times of their own, whatever the server does.
struct Stream {
  Lane* lane = nullptr;
  double per_second = 0;  // jobs, at random (Poisson)
  std::vector<int32_t> lengths = {16};
  Duration deadline = std::chrono::milliseconds(10);
  Priority priority = Priority::interactive;
  Duration after = {};  // from the beginning of the run
};

struct Counts {
  int64_t offered = 0;
  int64_t refused = 0;
  int64_t in_time = 0;
  int64_t late = 0;         // answered, but after the deadline
  int64_t expired = 0;      // or cancelled
  double pass_seconds = 0;  // of works of this priority
};

/// Runs streams against a batcher with replicas that take as long as `takes` says, which may also
/// say how deep a pass was; without it, exactly as long as predicted.
class Simulation {
 public:
  /// `pause`: how long a replica is away after each pass.
  explicit Simulation(const BatcherOptions& options, std::function<double(Pass&)> takes = nullptr,
                      Duration pause = {})
      : batcher(clock, options),
        takes_(std::move(takes)),
        pause_(pause),
        replicas_(static_cast<size_t>(options.replicas)) {}

  /// For so long; then nothing more is sent, and what waits is served.
  void run(const std::vector<Stream>& streams, double seconds, uint64_t seed = 1) {
    std::mt19937_64 random(seed);
    const Time begin = clock.now();
    const Time end = begin + seconds_long(seconds);
    std::vector<Time> next;
    const auto gap = [&](const Stream& stream) {
      return seconds_long(std::exponential_distribution<double>(stream.per_second)(random));
    };
    for (const Stream& stream : streams) next.push_back(begin + stream.after + gap(stream));
    is_sending = !streams.empty();
    take();
    for (;;) {
      const auto first = std::min_element(next.begin(), next.end());
      is_sending = first != next.end() && *first < end;
      const auto replica =
          std::min_element(replicas_.begin(), replicas_.end(),
                           [](const Replica& a, const Replica& b) { return a.next < b.next; });
      if (!is_sending && replica->next == Time::max()) break;
      if (!is_sending || replica->next <= *first) {
        clock.set(replica->next);
        go_on(*replica);
      } else {
        const Stream& stream = streams[static_cast<size_t>(first - next.begin())];
        clock.set(*first);
        send(stream);
        *first += gap(stream);
      }
      take();
    }
  }

  void send(const Stream& stream) {
    auto& client = clients.emplace_back(std::make_unique<Client>(
        *stream.lane, stream.lengths, clock.now() + stream.deadline, stream.priority));
    Counts& count = counts(stream.priority);
    ++count.offered;
    client->is_admitted = !batcher.submit(client->job);
    if (!client->is_admitted) ++count.refused;
  }

  /// Every replica that is free takes a pass if there is one.
  void take() {
    for (Replica& replica : replicas_) {
      while (replica.next == Time::max() && batcher.try_take(index_of(replica), replica.pass)) {
        hand_back(replica.pass);
        if (replica.pass.works.empty()) continue;
        const double seconds = takes_ ? takes_(replica.pass) : replica.pass.predicted_seconds;
        replica.next = clock.now() + seconds_long(seconds);
        replica.is_running = true;
        ++passes;
        if (is_sending) counts(replica.pass.works[0]->job->priority).pass_seconds += seconds;
      }
    }
  }

  void wait_until_idle() { run({}, 0); }

  Counts& counts(Priority priority) { return counts_[static_cast<size_t>(priority)]; }

  FakeClock clock;
  Batcher batcher;
  std::vector<std::unique_ptr<Client>> clients;
  int64_t passes = 0;
  bool is_sending = true;

 private:
  struct Replica {
    bool is_running = false;
    Time next = Time::max();  // the end of its pass, or of its pause
    Pass pass;
  };

  int32_t index_of(const Replica& replica) const {
    return static_cast<int32_t>(&replica - replicas_.data());
  }

  void go_on(Replica& replica) {
    replica.next = Time::max();
    if (!replica.is_running) return;
    replica.is_running = false;
    batcher.finish(index_of(replica), replica.pass);
    hand_back(replica.pass);
    if (pause_ > Duration::zero()) replica.next = clock.now() + pause_;
  }

  void hand_back(const Pass& pass) {
    for (Job* job : pass.ended) {
      Counts& count = counts(job->priority);
      const bool is_answered = job->end == Job::End::answered;
      ++(!is_answered ? count.expired : clock.now() <= job->deadline ? count.in_time : count.late);
    }
  }

  std::function<double(Pass&)> takes_;
  Duration pause_;
  std::vector<Replica> replicas_;
  std::array<Counts, 2> counts_;
};

}  // namespace tilewise::runtime
