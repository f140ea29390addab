// The promises of the batcher one by one; what follows from them over many jobs is in
// batcher_simulation_test.cc.
#include "runtime/batcher.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/allocation_count.h"
#include "runtime/batcher_fixture.h"

namespace tilewise::runtime {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
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

std::vector<const Job*> jobs_of(const Pass& pass) {
  std::vector<const Job*> jobs;
  for (const Work* work : pass.works) jobs.push_back(work->job);
  return jobs;
}

TEST_F(BatcherTest, AJobGoesIntoAPassAndComesBack) {
  Batcher& batcher = start();
  EXPECT_FALSE(batcher.try_take(0, pass_));
  Client& client = admitted({10, 20}, milliseconds(10));
  const Time submitted = clock_.now();
  clock_.advance(microseconds(30));
  ASSERT_TRUE(batcher.try_take(0, pass_));
  EXPECT_EQ(pass_.lane, &lane_);
  EXPECT_THAT(pass_.works, ElementsAre(&client.works[0], &client.works[1]));
  EXPECT_THAT(pass_.ended, IsEmpty());
  EXPECT_EQ(pass_.shape.sequences, 2);
  EXPECT_EQ(pass_.shape.tokens, 30);
  EXPECT_EQ(pass_.shape.squares, 500);
  EXPECT_NEAR(pass_.predicted_seconds, 390e-6, 1e-9);
  EXPECT_EQ(pass_.started, clock_.now());
  clock_.advance(microseconds(400));
  batcher.finish(0, pass_);
  EXPECT_THAT(pass_.ended, ElementsAre(&client.job));
  EXPECT_EQ(client.job.end, Job::End::answered);
  EXPECT_EQ(client.job.submitted, submitted);
  EXPECT_EQ(client.job.started, submitted + microseconds(30));
  EXPECT_FALSE(batcher.try_take(0, pass_));
  EXPECT_THAT(pass_.ended, IsEmpty());
}

// --- Order and size of passes
// ---------------------------------------------------------------------

TEST_F(BatcherTest, WorksGoInTheOrderOfTheirDeadlines) {
  start();
  const Client& late = admitted({10}, milliseconds(30));
  const Client& early = admitted({10}, milliseconds(10));
  const Client& middle = admitted({10}, milliseconds(20));
  const Client& middle_too = admitted({10}, milliseconds(20));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_THAT(jobs_of(pass_), ElementsAre(&early.job, &middle.job, &middle_too.job, &late.job));
}

TEST_F(BatcherTest, APassIsNoLongerThanTheLongest) {
  start();
  Client& client = admitted(std::vector<int32_t>(60, 10), seconds(1));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  // 90 + 24 * 100 us.
  EXPECT_EQ(pass_.works.size(), 24U);
  EXPECT_NEAR(pass_.predicted_seconds, 2490e-6, 1e-9);
  EXPECT_EQ(pass_.works.back(), &client.works[23]);
  finish_in_time(0, pass_);
  EXPECT_THAT(pass_.ended, IsEmpty());
  const Time first = client.job.started;
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_EQ(pass_.works.front(), &client.works[24]);
  finish_in_time(0, pass_);
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_EQ(pass_.works.size(), 12U);
  finish_in_time(0, pass_);
  EXPECT_THAT(pass_.ended, ElementsAre(&client.job));
  EXPECT_EQ(client.job.started, first);
}

TEST_F(BatcherTest, APassHasAtLeastOneSequence) {
  start();
  const Client& client = admitted({1000}, seconds(1));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_THAT(jobs_of(pass_), ElementsAre(&client.job));
  EXPECT_GT(pass_.predicted_seconds, 10e-3);
}

TEST_F(BatcherTest, APassIsFilledOnlyAsFarAsItsEarliestDeadlineAllows) {
  start();
  const Client& urgent = admitted({10}, milliseconds(3));
  const Client& small = admitted({20}, seconds(1));
  const Client& large = admitted({100}, seconds(1));
  // 1000 us are left, of which 500 are the reply's: enough for 90 + 100 + 200, not for 1000 more.
  clock_.advance(milliseconds(2));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_THAT(jobs_of(pass_), ElementsAre(&urgent.job, &small.job));
  finish_in_time(0, pass_);
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_THAT(jobs_of(pass_), ElementsAre(&large.job));
}

TEST_F(BatcherTest, APassIsOfOneLaneAndOvertakesOthersThatStayInTime) {
  start();
  const Client& first = admitted({10}, milliseconds(10));
  Client& second = client_of(other_, {10}, milliseconds(11));
  ASSERT_EQ(batcher_->submit(second.job), std::nullopt);
  const Client& third = admitted({10}, milliseconds(12));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_EQ(pass_.lane, &lane_);
  EXPECT_THAT(jobs_of(pass_), ElementsAre(&first.job, &third.job));
  finish_in_time(0, pass_);
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_EQ(pass_.lane, &other_);
  EXPECT_THAT(jobs_of(pass_), ElementsAre(&second.job));
}

TEST_F(BatcherTest, APassOvertakesNoneThatWouldBeLate) {
  start();
  const Client& first = admitted({10}, microseconds(5500));
  Client& second = client_of(other_, {100}, microseconds(5600));
  ASSERT_EQ(batcher_->submit(second.job), std::nullopt);
  admitted({100}, milliseconds(100));
  // The second takes 1090 us and must begin in 610, the first takes 190 of them. The third would
  // take 1000 more, for which the first has time.
  clock_.advance(microseconds(3400));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_THAT(jobs_of(pass_), ElementsAre(&first.job));
  finish_in_time(0, pass_);
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_THAT(jobs_of(pass_), ElementsAre(&second.job));
}

// --- Several replicas
// -----------------------------------------------------------------------------

TEST_F(BatcherTest, IdleReplicasShareWhatWaits) {
  start({.replicas = 4});
  Pass passes[4];
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(batcher_->try_take(i, passes[i]));
  Client& client = admitted(std::vector<int32_t>(10, 10), milliseconds(10));
  std::vector<size_t> sizes;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(batcher_->try_take(i, passes[i]));
    sizes.push_back(passes[i].works.size());
  }
  EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), size_t{0}), 10U);
  EXPECT_EQ(*std::min_element(sizes.begin(), sizes.end()), 2U);
  EXPECT_EQ(*std::max_element(sizes.begin(), sizes.end()), 3U);
  // The job is handed back once, by the last.
  for (int i = 0; i < 4; ++i) {
    batcher_->finish(i, passes[i]);
    EXPECT_EQ(passes[i].ended.size(), i == 3 ? 1U : 0U);
  }
  EXPECT_EQ(client.job.end, Job::End::answered);
}

TEST_F(BatcherTest, WhatWaitsIsNotLeftToReplicasThatAreBusy) {
  start({.replicas = 2});
  Pass other;
  EXPECT_FALSE(batcher_->try_take(1, other));
  admitted({10}, milliseconds(10));
  ASSERT_TRUE(batcher_->try_take(1, other));
  admitted(std::vector<int32_t>(10, 10), milliseconds(10));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_EQ(pass_.works.size(), 10U);
}

// --- Bulk work
// ------------------------------------------------------------------------------------

TEST_F(BatcherTest, InteractiveGoesBeforeBulk) {
  start();
  const Client& bulk = admitted({10}, milliseconds(20), Priority::bulk);
  const Client& interactive = admitted({10}, milliseconds(100));
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_THAT(jobs_of(pass_), ElementsAre(&interactive.job));
  finish_in_time(0, pass_);
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_THAT(jobs_of(pass_), ElementsAre(&bulk.job));
}

TEST_F(BatcherTest, BulkWaitsWhereAnAdmittedJobWouldBeLate) {
  start();
  admitted(std::vector<int32_t>(10, 10), milliseconds(10));
  const Client& next = admitted(std::vector<int32_t>(20, 10), milliseconds(20));
  const Client& bulk = admitted(std::vector<int32_t>(20, 10), seconds(1), Priority::bulk);
  clock_.advance(milliseconds(8));
  ASSERT_TRUE(batcher_->try_take(0, pass_));  // from now on something is due to bulk work
  clock_.advance(milliseconds(9));
  batcher_->finish(0, pass_);
  // 3 ms are left, of which the next one needs 2.1, and 0.5 for the reply.
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_EQ(pass_.works[0]->job, &next.job);
  finish_in_time(0, pass_);
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  EXPECT_EQ(pass_.works[0]->job, &bulk.job);
}

// --- Admission
// ------------------------------------------------------------------------------------

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

// --- What leaves without a pass
// -------------------------------------------------------------------

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

// --- The rest
// -------------------------------------------------------------------------------------

TEST_F(BatcherTest, ClosedServesWhatWaits) {
  start();
  Client& client = admitted({10}, milliseconds(10));
  batcher_->close();
  EXPECT_EQ(batcher_->submit(this->client({10}, milliseconds(10)).job), Duration::zero());
  EXPECT_EQ(batcher_->refuses(Priority::interactive, in(milliseconds(10))), Duration::zero());
  ASSERT_TRUE(batcher_->take(0, pass_));
  finish_in_time(0, pass_);
  EXPECT_THAT(pass_.ended, ElementsAre(&client.job));
  EXPECT_FALSE(batcher_->take(0, pass_));
}

TEST_F(BatcherTest, TheBacklogIsWhatWaitsAndRuns) {
  start({.replicas = 2});
  EXPECT_EQ(batcher_->backlog().seconds, 0);
  admitted(std::vector<int32_t>(24, 10), milliseconds(100));
  admitted(std::vector<int32_t>(24, 10), milliseconds(100));
  Backlog backlog = batcher_->backlog();
  EXPECT_EQ(backlog.sequences, 48);
  EXPECT_EQ(backlog.tokens, 480);
  EXPECT_NEAR(backlog.seconds, 2.49e-3, 1e-8);
  ASSERT_TRUE(batcher_->try_take(0, pass_));
  clock_.advance(microseconds(500));
  backlog = batcher_->backlog();
  EXPECT_EQ(backlog.sequences, 24);
  EXPECT_EQ(backlog.tokens, 240);
  EXPECT_NEAR(backlog.seconds, (1.99e-3 + 2.49e-3) / 2, 1e-8);
  Pass other;
  ASSERT_TRUE(batcher_->try_take(1, other));
  EXPECT_NEAR(batcher_->backlog().seconds, 2.49e-3, 1e-8);  // the later of both
}

TEST_F(BatcherTest, TheLanesTimeIsCorrectedByItsPassesOnly) {
  start();
  const double before = lane_.time.fixed();
  const double other = other_.time.fixed();
  for (int i = 0; i < 30; ++i) {
    admitted({10}, seconds(1));
    ASSERT_TRUE(batcher_->try_take(0, pass_));
    clock_.advance(microseconds(380));  // twice as long
    batcher_->finish(0, pass_);
  }
  EXPECT_NEAR(lane_.time.fixed() / before, 2, 0.05);
  EXPECT_EQ(other_.time.fixed(), other);
}

TEST_F(BatcherTest, AllocatesNothingWhenWarm) {
  if (!allocations()) GTEST_SKIP() << "allocations cannot be counted under the thread sanitizer";
  start({.replicas = 2});
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(
        std::make_unique<Client>(i % 2 == 0 ? lane_ : other_, std::vector<int32_t>{10, 20},
                                 Time::max(), i % 3 == 0 ? Priority::bulk : Priority::interactive));
  }
  Pass other;
  const auto round = [&] {
    for (const auto& client : clients) (void)batcher_->submit(client->job);
    (void)batcher_->cancel(clients[5]->job);
    for (bool is_done = false; !is_done;) {
      is_done = true;
      for (const int32_t replica : {0, 1}) {
        Pass& pass = replica == 0 ? pass_ : other;
        if (!batcher_->try_take(replica, pass)) continue;
        is_done = false;
        finish_in_time(replica, pass);
      }
    }
  };
  for (int i = 0; i < 3; ++i) round();
  const auto before = allocations();
  for (int i = 0; i < 3; ++i) round();
  EXPECT_EQ(allocations(), before);
}

// Whatever happens, each admitted job is handed back exactly once, and the sums come out even.
TEST_F(BatcherTest, NoJobIsLostOrHandedBackTwice) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    std::mt19937 random(seed);
    const auto some = [&](uint32_t count) { return random() % count; };
    const auto replicas = static_cast<int32_t>(1 + some(4));
    start({.replicas = replicas, .most_waiting = 300});
    clients_.clear();
    std::vector<Pass> passes(static_cast<size_t>(replicas));
    std::vector<bool> is_running(static_cast<size_t>(replicas));
    int64_t in_passes = 0;
    const auto hand_back = [&](const Pass& pass) {
      for (Job* job : pass.ended) {
        const auto client = std::find_if(clients_.begin(), clients_.end(),
                                         [&](const auto& c) { return &c->job == job; });
        ASSERT_NE(client, clients_.end());
        ++(*client)->returned;
        ASSERT_EQ(job->unfinished, 0);
      }
    };
    const auto step = [&](uint32_t what) {
      const size_t replica = some(static_cast<uint32_t>(replicas));
      Pass& pass = passes[replica];
      if (what < 5) {
        std::vector<int32_t> lengths(1 + some(what == 0 ? 60 : 3));
        for (int32_t& length : lengths) length = static_cast<int32_t>(1 + some(60));
        Client& client =
            client_of(some(3) == 0 ? other_ : lane_, lengths, microseconds(some(40000)),
                      some(4) == 0 ? Priority::bulk : Priority::interactive);
        client.is_admitted = !batcher_->submit(client.job);
      } else if (what < 6 && !clients_.empty()) {
        Client& client = *clients_[some(static_cast<uint32_t>(clients_.size()))];
        if (batcher_->cancel(client.job)) {
          ++client.returned;
          ASSERT_EQ(client.job.end, Job::End::cancelled);
        }
      } else if (what < 9 && !is_running[replica]) {
        if (!batcher_->try_take(static_cast<int32_t>(replica), pass)) return;
        hand_back(pass);
        is_running[replica] = !pass.works.empty();
        in_passes += std::ssize(pass.works);
        for (const Work* work : pass.works) ASSERT_EQ(work->job->lane, pass.lane);
      } else if (is_running[replica]) {
        is_running[replica] = false;
        in_passes -= std::ssize(pass.works);
        batcher_->finish(static_cast<int32_t>(replica), pass);
        hand_back(pass);
      }
      clock_.advance(microseconds(some(some(50) == 0 ? 20000 : 300)));
      // What was admitted and is not back waits or runs.
      int64_t unfinished = 0;
      for (const auto& client : clients_) {
        ASSERT_LE(client->returned, client->is_admitted ? 1 : 0);
        if (client->is_admitted) unfinished += client->job.unfinished;
      }
      ASSERT_EQ(unfinished, batcher_->backlog().sequences + in_passes);
    };
    for (int i = 0; i < 600; ++i) {
      step(some(12));
      if (HasFatalFailure()) return;
    }
    for (int i = 0; i < 20000 && (batcher_->backlog().sequences > 0 || in_passes > 0); ++i) {
      step(6 + some(6));
      if (HasFatalFailure()) return;
    }
    for (const auto& client : clients_) ASSERT_EQ(client->returned, client->is_admitted ? 1 : 0);
    EXPECT_EQ(batcher_->backlog().tokens, 0);
    EXPECT_EQ(batcher_->backlog().seconds, 0);
    EXPECT_EQ(lane_.waiting_jobs[0] + lane_.waiting_jobs[1], 0);
  }
}

// Real threads and the real clock: what matters is that all ends, and what the sanitizers say.
TEST_F(BatcherTest, ManyThreads) {
  const SteadyClock clock;
  constexpr int kReplicas = 3;
  constexpr int kClients = 3;
  constexpr int kRounds = 2000;
  Batcher batcher(clock, {.replicas = kReplicas});
  std::atomic<int> answered{0};
  std::atomic<int> expired{0};
  std::atomic<int> cancelled{0};
  const auto hand_back = [&](Pass& pass) {
    for (Job* job : pass.ended) {
      switch (job->end) {
        case Job::End::answered:
          ++answered;
          break;
        case Job::End::expired:
          ++expired;
          break;
        case Job::End::cancelled:
          ++cancelled;
          break;
      }
    }
  };
  std::vector<std::thread> replicas;
  for (int i = 0; i < kReplicas; ++i) {
    replicas.emplace_back([&, i] {
      Pass pass;
      while (batcher.take(i, pass)) {
        hand_back(pass);
        if (pass.works.empty()) continue;
        batcher.finish(i, pass);
        hand_back(pass);
      }
    });
  }
  std::atomic<int> admitted{0};
  std::vector<std::vector<std::unique_ptr<Client>>> clients(kClients);
  std::vector<std::thread> senders;
  for (int i = 0; i < kClients; ++i) {
    senders.emplace_back([&, i] {
      for (int round = 0; round < kRounds; ++round) {
        Client& client = *clients[i].emplace_back(std::make_unique<Client>(
            round % 2 == 0 ? lane_ : other_, std::vector<int32_t>(1 + round % 5, 10),
            clock.now() + milliseconds(round % 7 == 0 ? 1 : 1000),
            round % 3 == 0 ? Priority::bulk : Priority::interactive));
        if (batcher.submit(client.job)) continue;
        ++admitted;
        if (round % 11 == 0 && batcher.cancel(client.job)) ++cancelled;
        if (round % 50 == 0) std::this_thread::yield();
        (void)batcher.refuses(Priority::interactive, clock.now() + milliseconds(10));
      }
    });
  }
  for (std::thread& sender : senders) sender.join();
  batcher.close();
  for (std::thread& replica : replicas) replica.join();
  EXPECT_GT(admitted, 0);
  EXPECT_EQ(answered + expired + cancelled, admitted);
  EXPECT_EQ(batcher.backlog().sequences, 0);
}

TEST_F(BatcherTest, CloseWakesReplicasThatWait) {
  const SteadyClock clock;
  Batcher batcher(clock, {.replicas = 2});
  std::vector<std::thread> replicas;
  for (int i = 0; i < 2; ++i) {
    replicas.emplace_back([&, i] {
      Pass pass;
      EXPECT_FALSE(batcher.take(i, pass));
    });
  }
  batcher.close();
  for (std::thread& replica : replicas) replica.join();
}

}  // namespace
}  // namespace tilewise::runtime
