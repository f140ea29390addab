#include "cli/progress.h"

#include <gtest/gtest.h>

namespace tilewise::cli {
namespace {

TEST(Progress, SummaryIsReadable) {
  const batch::Progress progress{
      .rows = 1234567, .rejected = 3, .tokens = 12345670, .parts = 13, .seconds = 100};
  EXPECT_EQ(describe(progress),
            "1,234,567 rows (3 rejected) in 100.00 s: 12,346 rows/s, 123,457 tokens/s");
  EXPECT_EQ(describe({.rows = 300, .resumed_rows = 100, .reused = 50, .seconds = 2}),
            "300 rows, 100 by earlier runs, 50 scores taken, in 2.00 s: 100 rows/s, 0 tokens/s");
  EXPECT_EQ(describe({}), "0 rows in 0.00 s: 0 rows/s, 0 tokens/s");
}

TEST(Progress, CostCountsAnsweredRows) {
  // One hour for a million answers costs what an hour costs.
  EXPECT_DOUBLE_EQ(cost_per_million({.rows = 1'000'010, .rejected = 10, .seconds = 3600}, 0.5),
                   0.5);
  EXPECT_DOUBLE_EQ(cost_per_million({.rows = 2'000'000, .seconds = 3600}, 0.5), 0.25);
  EXPECT_EQ(cost_per_million({.rows = 5, .rejected = 5, .seconds = 1}, 0.5), 0);
}

}  // namespace
}  // namespace tilewise::cli
