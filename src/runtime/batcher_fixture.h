// A server that is not there: a clock that is set, replicas that take as long as is asked, clients
// that send and wait.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
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
  int id = 0;
  int returned = 0;  // how often it was handed back
  Time answered;

  Client(Lane& lane, std::vector<int32_t> lengths, Time deadline,
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

}  // namespace tilewise::runtime
