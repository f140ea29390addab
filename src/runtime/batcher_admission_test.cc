// What the batcher admits, and what it refuses at once.
#include <chrono>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/batcher.h"
#include "runtime/batcher_promises.h"

namespace tilewise::runtime {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(BatcherTest, WhatCannotBeInTimeIsRefusedAtOnceAndIsAdmittedAfterTheWait) {
  start();
  const Duration wait = fill(milliseconds(10));
  EXPECT_GT(wait, Duration::zero());
  EXPECT_LT(wait, milliseconds(10));
  EXPECT_NE(batcher_->refuses(Priority::interactive, in(milliseconds(1))), std::nullopt);
  EXPECT_EQ(batcher_->refuses(Priority::interactive, in(milliseconds(100))), std::nullopt);
  const Time again = in(wait);
  while (batcher_->try_take(0, pass_) &&
         clock_.now() + seconds_long(pass_.predicted_seconds) < again) {
    finish_in_time(0, pass_);
  }
  clock_.set(again);
  admitted({10}, milliseconds(10));
}

TEST_F(BatcherTest, ARefusedJobIsTheCallersAtOnce) {
  start();
  fill(milliseconds(10));
  const Backlog before = batcher_->backlog();
  {
    Client refused(lane_, std::vector<int32_t>(90, 10), in(milliseconds(10)));
    EXPECT_NE(batcher_->submit(refused.job), std::nullopt);
  }
  EXPECT_EQ(batcher_->backlog().sequences, before.sequences);
  while (batcher_->try_take(0, pass_)) finish_in_time(0, pass_);
}

TEST_F(BatcherTest, AJobThatNoServerCouldAnswerInTimeIsToldSo) {
  start();
  EXPECT_EQ(batcher_->submit(client({100}, milliseconds(1)).job), Duration::zero());
  EXPECT_EQ(batcher_->submit(client({10}, milliseconds(-1)).job), Duration::zero());
  EXPECT_EQ(batcher_->submit(client(std::vector<int32_t>(100, 10), milliseconds(10)).job),
            Duration::zero());
  EXPECT_EQ(batcher_->refuses(Priority::interactive, in(milliseconds(-1))), Duration::zero());
  // And on a busy server, where others are told to wait.
  EXPECT_GT(fill(milliseconds(10)), Duration::zero());
  EXPECT_EQ(batcher_->submit(client({100}, milliseconds(1)).job), Duration::zero());
}

TEST_F(BatcherTest, AJobThatJustFitsAnIdleServerIsAdmitted) {
  start();
  // 90 * 100 us in 4 passes: 360 us more; and in one pass 90 + 24 * 100.
  admitted(std::vector<int32_t>(90, 10), milliseconds(10));
  while (batcher_->try_take(0, pass_)) finish_in_time(0, pass_);
  EXPECT_EQ(clients_.back()->job.end, Job::End::answered);
  EXPECT_LE(clock_.now(), clients_.back()->job.deadline);
  admitted(std::vector<int32_t>(24, 10), microseconds(3000));
}

TEST_F(BatcherTest, AJobWithoutADeadlineIsAdmittedUntilTheQueueIsFull) {
  start({.most_waiting = 100});
  Client& first = *clients_.emplace_back(
      std::make_unique<Client>(lane_, std::vector<int32_t>(99, 10), Time::max()));
  EXPECT_EQ(batcher_->submit(first.job), std::nullopt);
  EXPECT_GT(batcher_->submit(client({10, 10}, seconds(100)).job), Duration::zero());
  admitted({10}, seconds(100));
  EXPECT_GT(batcher_->refuses(Priority::interactive, Time::max()), Duration::zero());
  EXPECT_EQ(batcher_->submit(client(std::vector<int32_t>(101, 10), seconds(100)).job),
            Duration::zero());
}

TEST_F(BatcherTest, NoJobIsAdmittedThatWouldMakeAnotherLate) {
  start();
  // 2.1 ms, and 2.6 until it must begin.
  admitted(std::vector<int32_t>(20, 10), microseconds(2700));
  // Alone it would be in time: 1.1 ms of 2.5.
  EXPECT_NE(batcher_->submit(client({100}, microseconds(2500)).job), std::nullopt);
  EXPECT_EQ(start().submit(client({100}, microseconds(2500)).job), std::nullopt);
}

TEST_F(BatcherTest, AdmissionKnowsWhatRuns) {
  start();
  admitted(std::vector<int32_t>(24, 10), milliseconds(10));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  // 2.49 ms more, 190 us of its own, 500 for the reply.
  EXPECT_GT(batcher_->submit(client({10}, microseconds(3150)).job), Duration::zero());
  EXPECT_EQ(batcher_->submit(client({10}, microseconds(3250)).job), std::nullopt);
}

TEST_F(BatcherTest, AdmissionKnowsThatLanesShareNoPass) {
  // Together in one pass 2090 us, one after the other 2180; and 500 for the reply.
  const std::vector<int32_t> lengths(10, 10);
  const Duration deadline = microseconds(2630);
  start();
  admitted(lengths, deadline);
  admitted(lengths, deadline);
  start();
  admitted(lengths, deadline);
  EXPECT_NE(batcher_->submit(client_of(other_, lengths, deadline).job), std::nullopt);
  lane_.waiting_jobs = {};
}

TEST_F(BatcherTest, AdmissionOfBulkKnowsWhatInteractiveWorkWaits) {
  start();
  admitted(std::vector<int32_t>(100, 10), milliseconds(100));
  EXPECT_GT(batcher_->submit(client({10}, milliseconds(9), Priority::bulk).job), Duration::zero());
  admitted({10}, milliseconds(20), Priority::bulk);
}

TEST_F(BatcherTest, TheCheapLookRefusesNothingThatWouldBeAdmitted) {
  std::mt19937 random(3);
  int refused = 0;
  for (int round = 0; round < 200; ++round) {
    start({.replicas = 1 + static_cast<int32_t>(random() % 3)});
    for (int step = 0; step < 60; ++step) {
      const Priority priority = random() % 4 == 0 ? Priority::bulk : Priority::interactive;
      const Duration deadline = microseconds(700 + random() % 12000);
      const bool is_refused = batcher_->refuses(priority, in(deadline)).has_value();
      Lane& lane = random() % 2 == 0 ? lane_ : other_;
      const bool is_admitted = !batcher_->submit(client_of(lane, {1}, deadline, priority).job);
      ASSERT_FALSE(is_refused && is_admitted) << round << " " << step;
      refused += is_refused ? 1 : 0;
      (void)batcher_->submit(client_of(lane, {static_cast<int32_t>(1 + random() % 50)},
                                       deadline + microseconds(random() % 3000), priority)
                                 .job);
      if (random() % 8 == 0 && batcher_->try_take(0, pass_)) finish_in_time(0, pass_);
    }
    while (batcher_->try_take(0, pass_)) finish_in_time(0, pass_);
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace tilewise::runtime
