#include "runtime/batcher.h"

#include <chrono>
#include <memory>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/batcher_fixture.h"

namespace tilewise::runtime {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

// 100 us a pass and 10 us a token.
class BatcherTest : public testing::Test {
 protected:
  Batcher& start(const BatcherOptions& options = {}) {
    batcher_ = std::make_unique<Batcher>(clock_, options);
    return *batcher_;
  }

  Time in(Duration time) const { return clock_.now() + time; }

  FakeClock clock_;
  Lane lane_{.time = pass_time_of(100e-6, 10e-6)};
  Lane other_{.time = pass_time_of(100e-6, 10e-6)};
  std::unique_ptr<Batcher> batcher_;
  Pass pass_;
};

std::vector<const Job*> jobs_of(const Pass& pass) {
  std::vector<const Job*> jobs;
  for (const Work* work : pass.works) jobs.push_back(work->job);
  return jobs;
}

TEST_F(BatcherTest, AJobGoesIntoAPassAndComesBack) {
  Batcher& batcher = start();
  Client client(lane_, {10, 20}, in(milliseconds(10)));
  EXPECT_FALSE(batcher.try_take(0, pass_));
  ASSERT_EQ(batcher.submit(client.job), std::nullopt);
  const Time submitted = clock_.now();
  clock_.advance(microseconds(30));
  ASSERT_TRUE(batcher.try_take(0, pass_));
  EXPECT_EQ(pass_.lane, &lane_);
  EXPECT_THAT(pass_.works, ElementsAre(&client.works[0], &client.works[1]));
  EXPECT_THAT(pass_.ended, IsEmpty());
  EXPECT_EQ(pass_.shape.tokens, 30);
  EXPECT_NEAR(pass_.predicted_seconds, 400e-6, 1e-9);
  EXPECT_EQ(pass_.started, clock_.now());
  clock_.advance(microseconds(400));
  batcher.finish(0, pass_);
  EXPECT_THAT(pass_.ended, ElementsAre(&client.job));
  EXPECT_EQ(client.job.end, Job::End::answered);
  EXPECT_EQ(client.job.submitted, submitted);
  EXPECT_EQ(client.job.started, submitted + microseconds(30));
  EXPECT_FALSE(batcher.try_take(0, pass_));
}

TEST_F(BatcherTest, WorksGoInTheOrderOfTheirDeadlines) {
  Batcher& batcher = start();
  Client late(lane_, {10}, in(milliseconds(30)));
  Client early(lane_, {10}, in(milliseconds(10)));
  Client middle(lane_, {10}, in(milliseconds(20)));
  Client middle_too(lane_, {10}, in(milliseconds(20)));
  for (Client* client : {&late, &early, &middle, &middle_too}) {
    ASSERT_EQ(batcher.submit(client->job), std::nullopt);
  }
  ASSERT_TRUE(batcher.try_take(0, pass_));
  EXPECT_THAT(jobs_of(pass_), ElementsAre(&early.job, &middle.job, &middle_too.job, &late.job));
}

TEST_F(BatcherTest, WhatCannotBeInTimeIsRefusedAtOnce) {
  Batcher& batcher = start();
  std::vector<std::unique_ptr<Client>> clients;
  std::optional<Duration> refused;
  while (!refused) {
    clients.push_back(
        std::make_unique<Client>(lane_, std::vector<int32_t>{10}, in(milliseconds(10))));
    refused = batcher.submit(clients.back()->job);
    ASSERT_LT(clients.size(), 1000U);
  }
  EXPECT_GT(*refused, Duration::zero());
  EXPECT_LT(*refused, milliseconds(10));
  EXPECT_NE(batcher.refuses(Priority::interactive, in(milliseconds(10))), std::nullopt);
}

}  // namespace
}  // namespace tilewise::runtime
