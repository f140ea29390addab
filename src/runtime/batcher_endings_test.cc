// Jobs that leave the batcher without a pass: expired, given up, cancelled.
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

TEST_F(BatcherTest, ExpiredWorkLeavesWithoutAPass) {
  start();
  Client& client = admitted({10}, milliseconds(10));
  Client& bulk = admitted({10}, milliseconds(10), Priority::bulk);
  clock_.advance(milliseconds(11));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_THAT(pass_.works, IsEmpty());
  EXPECT_THAT(pass_.ended, ElementsAre(&client.job, &bulk.job));
  EXPECT_EQ(client.job.end, Job::End::expired);
  EXPECT_EQ(client.job.started, client.job.submitted);
  EXPECT_FALSE(batcher_->try_take(0, pass_));
  EXPECT_EQ(batcher_->backlog().sequences, 0);
  EXPECT_EQ(batcher_->backlog().tokens, 0);
}

TEST_F(BatcherTest, SoDoesWorkWhosePassWouldEndTooLate) {
  start();
  Client& hopeless = admitted({100}, milliseconds(10));
  Client& possible = admitted({10}, microseconds(10100));
  clock_.advance(milliseconds(9));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_THAT(pass_.ended, ElementsAre(&hopeless.job));
  EXPECT_EQ(hopeless.job.end, Job::End::expired);
  EXPECT_THAT(jobs_of(pass_), ElementsAre(&possible.job));
}

TEST_F(BatcherTest, AJobThatExpiresHalfwayComesBackWithItsLastPass) {
  start({.replicas = 2});
  Client& client = admitted(std::vector<int32_t>(30, 10), milliseconds(10));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  ASSERT_EQ(pass_.works.size(), 24U);
  EXPECT_EQ(batcher_->backlog().sequences, 6);
  clock_.advance(milliseconds(20));
  Pass other;
  EXPECT_FALSE(batcher_->try_take(1, other));
  EXPECT_THAT(other.ended, IsEmpty());
  batcher_->finish(0, pass_);
  EXPECT_THAT(pass_.ended, ElementsAre(&client.job));
  EXPECT_EQ(client.job.end, Job::End::expired);
  EXPECT_EQ(batcher_->backlog().sequences, 0);
}

TEST_F(BatcherTest, AJobIsGivenUpWhenTheRestOfItWouldEndTooLate) {
  start();
  Client& client = admitted(std::vector<int32_t>(60, 10), milliseconds(10));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  // For the next work there would be time, for all 36 there is not.
  clock_.advance(milliseconds(8));
  batcher_->finish(0, pass_);
  EXPECT_THAT(pass_.ended, IsEmpty());
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_THAT(pass_.works, IsEmpty());
  EXPECT_THAT(pass_.ended, ElementsAre(&client.job));
  EXPECT_EQ(client.job.end, Job::End::expired);
}

TEST_F(BatcherTest, AWaitingJobIsCancelledAtOnce) {
  start();
  Client& client = admitted({10, 10}, milliseconds(10));
  const Client& other = admitted({10}, milliseconds(10));
  EXPECT_TRUE(batcher_->cancel(client.job));
  EXPECT_EQ(client.job.end, Job::End::cancelled);
  EXPECT_EQ(client.job.started, client.job.submitted);
  EXPECT_EQ(batcher_->backlog().sequences, 1);
  EXPECT_FALSE(batcher_->cancel(client.job));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_THAT(jobs_of(pass_), ElementsAre(&other.job));
  finish_in_time(0, pass_);
  EXPECT_THAT(pass_.ended, ElementsAre(&other.job));
}

TEST_F(BatcherTest, AJobInAPassIsCancelledWhenThatEnds) {
  start();
  Client& client = admitted(std::vector<int32_t>(30, 10), milliseconds(20));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_FALSE(batcher_->cancel(client.job));
  EXPECT_FALSE(batcher_->cancel(client.job));
  EXPECT_EQ(batcher_->backlog().sequences, 0);
  finish_in_time(0, pass_);
  EXPECT_THAT(pass_.ended, ElementsAre(&client.job));
  EXPECT_EQ(client.job.end, Job::End::cancelled);
  EXPECT_FALSE(batcher_->try_take(0, pass_));
}

TEST_F(BatcherTest, CancellingTooLateChangesNothing) {
  start();
  Client& client = admitted({10}, milliseconds(10));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  finish_in_time(0, pass_);
  EXPECT_FALSE(batcher_->cancel(client.job));
  EXPECT_EQ(client.job.end, Job::End::answered);
}

TEST_F(BatcherTest, CancelledJobsMakeRoomForOthers) {
  start();
  fill(milliseconds(10));
  for (const auto& client : clients_) batcher_->cancel(client->job);
  EXPECT_EQ(batcher_->backlog().seconds, 0);
  EXPECT_FALSE(batcher_->try_take(0, pass_));
  admitted(std::vector<int32_t>(90, 10), milliseconds(10));
}

}  // namespace
}  // namespace tilewise::runtime
