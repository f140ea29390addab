// How passes are made, and what holds for a batcher as a whole. What it admits is in
// batcher_admission_test.cc, what leaves without a pass in batcher_endings_test.cc, and what
// follows from all of it over many jobs in batcher_simulation_test.cc.
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
#include "runtime/batcher_promises.h"

namespace tilewise::runtime {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
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

// ---- Order and size of passes

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

// ---- Several replicas

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

// ---- Bulk work

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

// ---- The rest

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
