// What the batcher's promises come to over many jobs: servers under load, in simulated time.
#include <chrono>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/batcher_fixture.h"

namespace tilewise::runtime {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr double kLongest = 2.5e-3;
constexpr double kWork = 130e-6;  // of a sequence of 16 tokens

/// Sequences that a replica answers in a second if all its passes are full.
double full_rate(double fixed) {
  const double works = std::floor((kLongest - fixed) / kWork + 1e-9);
  return works / (fixed + works * kWork);
}

struct Scenario {
  std::string name;
  double load = 2;  // as a multiple of what full passes could answer
  double fixed = 100e-6;
  int32_t replicas = 1;
  std::vector<int> deadlines_ms = {10};
  int lanes = 1;
  int works = 1;               // a job
  double least_goodput = 0.9;  // answered in time, as a multiple of what full passes could answer
  double most_refused = 1;     // of the jobs
};

std::ostream& operator<<(std::ostream& out, const Scenario& scenario) {
  return out << scenario.name;
}

class BatcherLoad : public testing::TestWithParam<Scenario> {};

// Passes take what is predicted. Then every job that is admitted must be in time, and admission
// must not be so careful that replicas are idle.
TEST_P(BatcherLoad, EveryAdmittedJobIsInTime) {
  const Scenario& scenario = GetParam();
  constexpr double kSeconds = 2;
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<Stream> streams;
  const double capacity = full_rate(scenario.fixed) * scenario.replicas;
  for (int i = 0; i < scenario.lanes; ++i) {
    lanes.push_back(std::make_unique<Lane>(Lane{.time = pass_time_of(scenario.fixed, kWork / 16)}));
    for (const int deadline : scenario.deadlines_ms) {
      streams.push_back({.lane = lanes.back().get(),
                         .per_second = capacity * scenario.load / scenario.works / scenario.lanes /
                                       static_cast<double>(scenario.deadlines_ms.size()),
                         .lengths = std::vector<int32_t>(static_cast<size_t>(scenario.works), 16),
                         .deadline = milliseconds(deadline)});
    }
  }
  Simulation simulation({.replicas = scenario.replicas});
  simulation.run(streams, kSeconds);

  const Counts& counts = simulation.counts(Priority::interactive);
  EXPECT_EQ(counts.late, 0);
  EXPECT_EQ(counts.expired, 0);
  EXPECT_EQ(counts.in_time + counts.refused, counts.offered);
  const double in_time = static_cast<double>(counts.in_time * scenario.works);
  EXPECT_GE(in_time / (capacity * kSeconds), scenario.least_goodput);
  EXPECT_LE(static_cast<double>(counts.refused) / static_cast<double>(counts.offered),
            scenario.most_refused);
}

// Where loads leave no choice: with 3 ms and a pass of 0.5 + n * 0.13, of which one must be waited
// for, there is time for 5 or 6 sequences a pass instead of 15. Ten lanes on one replica share the
// 10 ms alike. Refusals at 80 % are the bursts of the arrivals, less than once in 1000.
INSTANTIATE_TEST_SUITE_P(
    Scenarios, BatcherLoad,
    testing::Values(
        Scenario{.name = "Overload", .least_goodput = 0.98},
        Scenario{.name = "TenfoldOverload", .load = 10, .least_goodput = 0.98},
        Scenario{.name = "Load80", .load = 0.8, .least_goodput = 0.77, .most_refused = 0},
        Scenario{.name = "Load95", .load = 0.95, .least_goodput = 0.9, .most_refused = 1e-3},
        Scenario{.name = "NoFixedCost", .fixed = 1e-9, .least_goodput = 0.98},
        Scenario{.name = "LargeFixedCost", .fixed = 500e-6, .least_goodput = 0.98},
        Scenario{.name = "LargeFixedCostLoad80",
                 .load = 0.8,
                 .fixed = 500e-6,
                 .least_goodput = 0.77,
                 .most_refused = 1e-3},
        Scenario{.name = "FourReplicas", .replicas = 4, .least_goodput = 0.98},
        Scenario{.name = "FourReplicasLoad95",
                 .load = 0.95,
                 .replicas = 4,
                 .least_goodput = 0.92,
                 .most_refused = 0},
        Scenario{.name = "ShortDeadline", .deadlines_ms = {4}, .least_goodput = 0.95},
        Scenario{.name = "LongDeadline", .deadlines_ms = {200}, .least_goodput = 0.98},
        Scenario{.name = "VeryShortDeadlineLargeFixedCost",
                 .fixed = 500e-6,
                 .deadlines_ms = {3},
                 .least_goodput = 0.65},
        Scenario{.name = "MixedDeadlines", .deadlines_ms = {4, 10, 50}, .least_goodput = 0.95},
        Scenario{.name = "MixedDeadlinesLargeFixedCost",
                 .fixed = 500e-6,
                 .deadlines_ms = {4, 10, 50},
                 .least_goodput = 0.9},
        Scenario{.name = "MixedDeadlinesFourReplicas",
                 .fixed = 500e-6,
                 .replicas = 4,
                 .deadlines_ms = {3, 5, 7, 20, 200},
                 .least_goodput = 0.9},
        Scenario{.name = "ThreeLanes", .lanes = 3, .least_goodput = 0.95},
        Scenario{
            .name = "ThreeLanesLargeFixedCost", .fixed = 300e-6, .lanes = 3, .least_goodput = 0.9},
        Scenario{.name = "ThreeLanesMixedDeadlines",
                 .fixed = 300e-6,
                 .deadlines_ms = {5, 10, 30},
                 .lanes = 3,
                 .least_goodput = 0.9},
        Scenario{.name = "ThreeLanesFourReplicas",
                 .fixed = 300e-6,
                 .replicas = 4,
                 .lanes = 3,
                 .least_goodput = 0.95},
        Scenario{.name = "TenLanes", .fixed = 300e-6, .lanes = 10, .least_goodput = 0.7},
        Scenario{.name = "EightWorks", .works = 8, .least_goodput = 0.95},
        Scenario{.name = "FortyWorksFourReplicas", .replicas = 4, .works = 40}),
    testing::PrintToStringParamName());

// --- Bulk work
// ------------------------------------------------------------------------------------

struct Shares {
  double bulk = 0;
  double interactive = 0;
  int64_t late = 0;
};

/// Twice the interactive work that can be done, and bulk work that always waits.
Shares shares_of(double bulk_share, int32_t replicas) {
  constexpr double kSeconds = 2;
  Lane lane{.time = pass_time_of(100e-6, kWork / 16)};
  Simulation simulation({.replicas = replicas, .bulk_share = bulk_share});
  for (int i = 0; i < 40 * replicas; ++i) {
    simulation.send({.lane = &lane,
                     .lengths = std::vector<int32_t>(1000, 16),
                     .deadline = std::chrono::hours(1),
                     .priority = Priority::bulk});
  }
  simulation.run({{.lane = &lane, .per_second = 2 * full_rate(100e-6) * replicas}}, kSeconds);
  const Counts& interactive = simulation.counts(Priority::interactive);
  return {.bulk = simulation.counts(Priority::bulk).pass_seconds / (kSeconds * replicas),
          .interactive = interactive.pass_seconds / (kSeconds * replicas),
          .late = interactive.late + interactive.expired};
}

TEST(BatcherBulk, HasItsShareOfAnOverloadedServerAndNotMore) {
  for (const int32_t replicas : {1, 3}) {
    for (const double share : {0.0, 0.1, 0.3}) {
      const Shares shares = shares_of(share, replicas);
      // Beside the first passes, before the overload: 20 of 800 here.
      EXPECT_GE(shares.bulk, share - 0.002) << replicas;
      EXPECT_LE(shares.bulk, share + 0.02) << replicas;
      EXPECT_GE(shares.interactive, 1 - share - 0.03) << replicas;
      EXPECT_EQ(shares.late, 0) << replicas << " " << share;
    }
  }
}

TEST(BatcherBulk, HasAllThatInteractiveWorkLeaves) {
  Lane lane{.time = pass_time_of(100e-6, kWork / 16)};
  Simulation simulation({});
  simulation.send({.lane = &lane,
                   .lengths = std::vector<int32_t>(20000, 16),
                   .deadline = std::chrono::hours(1),
                   .priority = Priority::bulk});
  simulation.run({{.lane = &lane, .per_second = 0.4 * full_rate(100e-6)}}, 2);
  const double bulk = simulation.counts(Priority::bulk).pass_seconds;
  const double interactive = simulation.counts(Priority::interactive).pass_seconds;
  EXPECT_NEAR(bulk + interactive, 2, 0.01);
  EXPECT_GT(bulk, 0.8);
  EXPECT_EQ(simulation.counts(Priority::interactive).late, 0);
  EXPECT_EQ(simulation.counts(Priority::interactive).expired, 0);
  // The bursts that meet a bulk pass.
  EXPECT_LT(simulation.counts(Priority::interactive).refused,
            simulation.counts(Priority::interactive).offered / 1000);
}

TEST(BatcherBulk, WhatItHadOfAnIdleServerIsNotHeldAgainstIt) {
  Lane lane{.time = pass_time_of(100e-6, kWork / 16)};
  Simulation simulation({});
  simulation.send({.lane = &lane,
                   .lengths = std::vector<int32_t>(20000, 16),
                   .deadline = std::chrono::hours(1),
                   .priority = Priority::bulk});
  simulation.run(
      {{.lane = &lane, .per_second = 2 * full_rate(100e-6), .after = std::chrono::seconds(1)}}, 2);
  // A second alone, and a tenth of the next one: but for a pass or two.
  EXPECT_NEAR(simulation.counts(Priority::bulk).pass_seconds, 1.1, 0.01);
}

TEST(BatcherBulk, SavesNoShareWhileItDoesNotWait) {
  Lane lane{.time = pass_time_of(100e-6, kWork / 16)};
  Simulation simulation({});
  simulation.run({{.lane = &lane, .per_second = 2 * full_rate(100e-6)},
                  {.lane = &lane,
                   .per_second = 1000,
                   .lengths = std::vector<int32_t>(1000, 16),
                   .deadline = std::chrono::hours(1),
                   .priority = Priority::bulk,
                   .after = std::chrono::seconds(1)}},
                 1.5);
  // A tenth of half a second.
  EXPECT_NEAR(simulation.counts(Priority::bulk).pass_seconds, 0.05, 0.01);
  EXPECT_EQ(simulation.counts(Priority::interactive).expired, 0);
}

TEST(BatcherBulk, JobsThatWereAdmittedBeforeItCameStayInTime) {
  Lane lane{.time = pass_time_of(100e-6, kWork / 16)};
  Simulation simulation({.bulk_share = 0.5});
  const Stream interactive{.lane = &lane};
  for (int i = 0; i < 200; ++i) simulation.send(interactive);
  ASSERT_GT(simulation.counts(Priority::interactive).refused, 0);
  simulation.send({.lane = &lane,
                   .lengths = std::vector<int32_t>(1000, 16),
                   .deadline = std::chrono::hours(1),
                   .priority = Priority::bulk});
  simulation.take();
  simulation.wait_until_idle();
  EXPECT_EQ(simulation.counts(Priority::interactive).late, 0);
  EXPECT_EQ(simulation.counts(Priority::interactive).expired, 0);
  EXPECT_EQ(simulation.counts(Priority::bulk).in_time, 1);
}

TEST(BatcherBulk, IsAdmittedByWhatInteractiveWorkLeaves) {
  Lane lane{.time = pass_time_of(100e-6, kWork / 16)};
  Simulation simulation({});
  const Stream interactive{.lane = &lane, .per_second = 2 * full_rate(100e-6)};
  // 1000 sequences take 0.14 s of an idle server, and 1.4 s of a tenth of one.
  const Stream bulk{.lane = &lane,
                    .lengths = std::vector<int32_t>(1000, 16),
                    .deadline = milliseconds(500),
                    .priority = Priority::bulk};
  simulation.send(bulk);
  EXPECT_EQ(simulation.counts(Priority::bulk).refused, 0);
  simulation.take();
  simulation.wait_until_idle();
  simulation.run({interactive}, 4);
  simulation.send(bulk);
  EXPECT_EQ(simulation.counts(Priority::bulk).refused, 1);
  simulation.send({.lane = &lane,
                   .lengths = std::vector<int32_t>(100, 16),
                   .deadline = milliseconds(500),
                   .priority = Priority::bulk});
  EXPECT_EQ(simulation.counts(Priority::bulk).refused, 1);
}

// --- Predictions that are wrong
// -------------------------------------------------------------------

TEST(BatcherPrediction, IsCorrectedWhenPassesTakeTwiceAsLong) {
  Lane lane{.time = pass_time_of(100e-6, kWork / 16)};
  const PassTime original = lane.time;
  Simulation simulation({}, [&](const Pass& pass) { return 2 * original.seconds(pass.shape); });
  const Stream stream{.lane = &lane, .per_second = 2 * full_rate(100e-6)};
  simulation.run({stream}, 0.2);
  Counts& counts = simulation.counts(Priority::interactive);
  counts = {};
  simulation.run({stream}, 2, 2);
  EXPECT_EQ(counts.late, 0);
  EXPECT_EQ(counts.expired, 0);
  EXPECT_NEAR(static_cast<double>(counts.in_time), full_rate(100e-6), 0.05 * full_rate(100e-6));
}

/// Passes whose sequences leave after so many of six layers, each as likely: 3 on average. A pass
/// takes its fixed cost, and of the rest what its sequences went through.
class EarlyLeavers {
 public:
  double takes(const Pass& pass) {
    double layers = 0;
    for (size_t i = 0; i < pass.works.size(); ++i) layers += kDepths[random_() % 4];
    depth_ = layers / (6 * static_cast<double>(pass.works.size()));
    return full_.fixed() + (full_.seconds(pass.shape) - full_.fixed()) * depth_;
  }
  double depth() const { return depth_; }

 private:
  static constexpr int kDepths[] = {1, 2, 3, 6};
  const PassTime full_ = pass_time_of(100e-6, kWork / 16);
  std::mt19937 random_{9};
  double depth_ = 1;
};

TEST(BatcherPrediction, AdmitsWhatLeavingEarlyMakesRoomFor) {
  Lane lane{.time = pass_time_of(100e-6, kWork / 16)};
  EarlyLeavers leavers;
  Simulation simulation({}, [&](Pass& pass) {
    const double seconds = leavers.takes(pass);
    pass.depth = leavers.depth();
    return seconds;
  });
  // Full passes with half the work a sequence; half of what is offered can be answered.
  const double works = std::floor((kLongest - 100e-6) / (kWork / 2) + 1e-9);
  const double rate = works / (100e-6 + works * kWork / 2);
  const Stream stream{.lane = &lane, .per_second = 2 * rate};
  simulation.run({stream}, 0.3);
  Counts& counts = simulation.counts(Priority::interactive);
  counts = {};
  simulation.run({stream}, 2, 2);
  const auto in_time = static_cast<double>(counts.in_time);
  EXPECT_GT(in_time, 0.93 * 2 * rate);
  EXPECT_LT(static_cast<double>(counts.late + counts.expired), in_time / 200);
}

TEST(BatcherPrediction, FullDepthBesideItHasATimeOfItsOwn) {
  Lane adaptive{.time = pass_time_of(100e-6, kWork / 16)};
  Lane full{.time = pass_time_of(100e-6, kWork / 16)};
  const PassTime original = full.time;
  EarlyLeavers leavers;
  Simulation simulation({}, [&](Pass& pass) {
    if (pass.lane == &full) return original.seconds(pass.shape);
    const double seconds = leavers.takes(pass);
    pass.depth = leavers.depth();
    return seconds;
  });
  const std::vector<Stream> streams = {{.lane = &adaptive, .per_second = full_rate(100e-6)},
                                       {.lane = &full, .per_second = full_rate(100e-6) / 2}};
  simulation.run(streams, 0.3);
  Counts& counts = simulation.counts(Priority::interactive);
  counts = {};
  simulation.run(streams, 2, 2);
  EXPECT_EQ(full.time.depth(), 1);
  EXPECT_LT(adaptive.time.depth(), 0.65);  // a mean of 0.5, and how much passes of few differ
  EXPECT_LT(static_cast<double>(counts.late + counts.expired),
            static_cast<double>(counts.in_time) / 200);
}

TEST(BatcherPrediction, KnowsTheTimeBetweenPasses) {
  // A replica that needs 400 us after each pass to send its answers. Until that is known, some are
  // late.
  Lane lane{.time = pass_time_of(100e-6, kWork / 16)};
  Simulation simulation({}, nullptr, microseconds(400));
  const Stream stream{.lane = &lane, .per_second = 2 * full_rate(100e-6)};
  simulation.run({stream}, 0.2);
  Counts& counts = simulation.counts(Priority::interactive);
  counts = {};
  simulation.run({stream}, 2, 2);
  EXPECT_EQ(counts.late, 0);
  EXPECT_EQ(counts.expired, 0);
  EXPECT_GT(static_cast<double>(counts.in_time), 0.95 * 2 * full_rate(100e-6) * 2.44 / 2.84);
}

TEST(BatcherPrediction, NoiseMakesFewJobsLate) {
  // Passes that take 10 % more or less, and one in 200 that is interrupted for 2 ms: in which 14
  // jobs, 0.5 % of all, could have been answered that were admitted already.
  Lane lane{.time = pass_time_of(100e-6, kWork / 16)};
  const PassTime original = lane.time;
  std::mt19937 random(5);
  Simulation simulation({}, [&](const Pass& pass) {
    const double noise = std::uniform_real_distribution<double>(0.9, 1.1)(random);
    return original.seconds(pass.shape) * noise + (random() % 200 == 0 ? 2e-3 : 0);
  });
  simulation.run({{.lane = &lane, .per_second = 2 * full_rate(100e-6)}}, 4);
  const Counts& counts = simulation.counts(Priority::interactive);
  EXPECT_LT(counts.late + counts.expired, counts.in_time / 50);
  EXPECT_GT(static_cast<double>(counts.in_time), 0.95 * 4 * full_rate(100e-6));
}

}  // namespace
}  // namespace tilewise::runtime
