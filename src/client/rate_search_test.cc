#include "client/rate_search.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "client/load.h"
#include "client/schedule.h"

namespace tilewise::client {
namespace {

/// P99 in seconds of a server that answers one request after another, `service` seconds each.
double simulated_p99(double rate, double service, double seconds, uint64_t seed) {
  std::vector<double> latencies;
  double idle_from = 0;
  for (const auto moment : poisson_schedule(rate, seconds, seed)) {
    const double at = static_cast<double>(moment.count()) * 1e-9;
    idle_from = std::max(idle_from, at) + service;
    latencies.push_back(idle_from - at);
  }
  std::sort(latencies.begin(), latencies.end());
  return percentile(latencies, 0.99);
}

TEST(RateSearch, FindsTheEdge) {
  int tried = 0;
  const Holds below = [&](double rate) {
    ++tried;
    return Result<bool>(rate < 7654);
  };
  for (const double start : {10.0, 7000.0, 7654.0, 100000.0}) {
    const auto found = find_highest_rate({.start = start}, below, below);
    ASSERT_TRUE(found.ok());
    EXPECT_LT(*found, 7654);
    EXPECT_GT(*found, 7654 / 1.02);
  }
  EXPECT_LT(tried, 4 * 40);
}

TEST(RateSearch, AQueueOfOneServer) {
  // M/D/1 with 1 ms of service: the mean wait is load / (2 (1 - load)) ms, and P99 stays under 10
  // ms up to a load of some 80 %.
  uint64_t seed = 1;
  const Holds holds = [&](double rate) {
    return Result<bool>(simulated_p99(rate, 1e-3, 200, seed++) < 10e-3);
  };
  const auto found = find_highest_rate({.start = 100}, holds, holds);
  ASSERT_TRUE(found.ok());
  EXPECT_GT(*found, 700);
  EXPECT_LT(*found, 900);
  EXPECT_LT(simulated_p99(*found * 0.9, 1e-3, 200, 99), 10e-3);
  EXPECT_GT(simulated_p99(*found * 1.1, 1e-3, 200, 99), 10e-3);
}

TEST(RateSearch, OneDisturbanceDoesNotMatterAndTwoDo) {
  int disturbed = 1;
  const Holds holds = [&](double rate) { return Result<bool>(rate < 1000 && disturbed-- <= 0); };
  const auto once = find_highest_rate({.start = 500}, holds, holds);
  ASSERT_TRUE(once.ok());
  EXPECT_GT(*once, 980);
  disturbed = 2;
  const auto twice = find_highest_rate({.start = 500}, holds, holds);
  ASSERT_TRUE(twice.ok());
  EXPECT_LT(*twice, 500);
}

TEST(RateSearch, GoesDownUntilTheLongTryHolds) {
  const Holds shortly = [](double rate) { return Result<bool>(rate < 1000); };
  const Holds longer = [](double rate) { return Result<bool>(rate < 950); };
  const auto found = find_highest_rate({.start = 600}, shortly, longer);
  ASSERT_TRUE(found.ok());
  EXPECT_LT(*found, 950);
  EXPECT_GT(*found, 900);
}

TEST(RateSearch, NothingHoldsAndEverythingHolds) {
  const Holds never = [](double) { return Result<bool>(false); };
  const Holds always = [](double) { return Result<bool>(true); };
  EXPECT_EQ(*find_highest_rate({.start = 500}, never, never), 0);
  EXPECT_EQ(*find_highest_rate({.start = 500}, always, never), 0);
  EXPECT_EQ(*find_highest_rate({.start = 500, .highest = 5000}, always, always), 5000);
}

TEST(RateSearch, AnErrorEndsIt) {
  const Holds broken = [](double) { return Result<bool>(io_error({.what = "gone"})); };
  EXPECT_EQ(find_highest_rate({}, broken, broken).status().code(), StatusCode::io_error);
}

}  // namespace
}  // namespace tilewise::client
