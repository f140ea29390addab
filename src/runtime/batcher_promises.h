// What the tests of the batcher share, one promise at a time: a batcher on a clock that stands
// still, and jobs that last as long as the test.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/batcher.h"
#include "runtime/batcher_fixture.h"

namespace tilewise::runtime {

using testing::ElementsAre;
using testing::IsEmpty;

// 90 us a pass and 10 us a token: a full pass has 24 works of 10 tokens.
class BatcherTest : public testing::Test {
 protected:
  Batcher& start(const BatcherOptions& options = {}) {
    batcher_ = std::make_unique<Batcher>(clock_, options);
    return *batcher_;
  }

  Time in(Duration time) const { return clock_.now() + time; }

  /// A job in the first lane, made to last as long as the test.
  Client& client(const std::vector<int32_t>& lengths, Duration deadline,
                 Priority priority = Priority::interactive) {
    return client_of(lane_, lengths, deadline, priority);
  }
  Client& client_of(Lane& lane, const std::vector<int32_t>& lengths, Duration deadline,
                    Priority priority = Priority::interactive) {
    return *clients_.emplace_back(
        std::make_unique<Client>(lane, lengths, clock_.now() + deadline, priority));
  }

  /// The same, and in the queue.
  Client& admitted(const std::vector<int32_t>& lengths, Duration deadline,
                   Priority priority = Priority::interactive) {
    Client& result = client(lengths, deadline, priority);
    EXPECT_EQ(batcher_->submit(result.job), std::nullopt);
    return result;
  }

  /// Jobs of one work of 10 tokens until one is refused.
  Duration fill(Duration deadline, Priority priority = Priority::interactive) {
    for (int i = 0; i < 100000; ++i) {
      if (const auto refused = batcher_->submit(client({10}, deadline, priority).job)) {
        return *refused;
      }
    }
    ADD_FAILURE() << "nothing is refused";
    return {};
  }

  void finish_in_time(int32_t replica, Pass& pass) {
    clock_.advance(seconds_long(pass.predicted_seconds));
    batcher_->finish(replica, pass);
  }

  FakeClock clock_;
  Lane lane_{.time = pass_time_of(90e-6, 10e-6)};
  Lane other_{.time = pass_time_of(90e-6, 10e-6)};
  std::unique_ptr<Batcher> batcher_;
  std::vector<std::unique_ptr<Client>> clients_;
  Pass pass_;
};

inline std::vector<const Job*> jobs_of(const Pass& pass) {
  std::vector<const Job*> jobs;
  for (const Work* work : pass.works) jobs.push_back(work->job);
  return jobs;
}

}  // namespace tilewise::runtime
