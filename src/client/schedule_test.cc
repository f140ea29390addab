#include "client/schedule.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

namespace tilewise::client {
namespace {

TEST(PoissonSchedule, GapsAreExponential) {
  constexpr double kRate = 5000, kSeconds = 20;
  const auto moments = poisson_schedule(kRate, kSeconds, 7);
  ASSERT_TRUE(std::is_sorted(moments.begin(), moments.end()));
  EXPECT_LT(static_cast<double>(moments.back().count()), kSeconds * 1e9);
  // The count is Poisson: 100000 with a standard deviation of 316; 4 of them.
  const auto count = static_cast<double>(moments.size());
  EXPECT_NEAR(count, kRate * kSeconds, 4 * std::sqrt(kRate * kSeconds));

  double sum = 0, squares = 0;
  int64_t longer_than_mean = 0;
  for (size_t i = 1; i < moments.size(); ++i) {
    const double gap = static_cast<double>((moments[i] - moments[i - 1]).count()) * 1e-9 * kRate;
    sum += gap;
    squares += gap * gap;
    longer_than_mean += gap > 1;
  }
  // In units of the mean an exponential gap has variance 1, a fourth moment of 24, and a share of
  // 1/e over the mean; four standard errors of 100000 samples each.
  EXPECT_NEAR(sum / count, 1, 4 / std::sqrt(count));
  EXPECT_NEAR(squares / count, 2, 4 * std::sqrt(20 / count));
  EXPECT_NEAR(static_cast<double>(longer_than_mean) / count, std::exp(-1),
              4 * std::sqrt(0.2325 / count));
}

TEST(PoissonSchedule, CountsOfEqualPartsVaryLikePoissons) {
  constexpr size_t kParts = 1000;
  const auto moments = poisson_schedule(20, kParts, 3);  // 20 in each second
  std::vector<double> counts(kParts);
  for (const auto moment : moments) ++counts[static_cast<size_t>(moment.count() / 1'000'000'000)];
  double mean = 0, variance = 0;
  for (const double count : counts) mean += count / kParts;
  for (const double count : counts) variance += (count - mean) * (count - mean) / kParts;
  // Variance over mean is 1, with a standard error of sqrt(2 / parts).
  EXPECT_NEAR(variance / mean, 1, 4 * std::sqrt(2.0 / kParts));
}

TEST(PoissonSchedule, OneSeedOneSchedule) {
  EXPECT_EQ(poisson_schedule(100, 5, 1), poisson_schedule(100, 5, 1));
  EXPECT_NE(poisson_schedule(100, 5, 1), poisson_schedule(100, 5, 2));
  EXPECT_TRUE(poisson_schedule(1, 1e-9, 1).empty());
}

}  // namespace
}  // namespace tilewise::client
