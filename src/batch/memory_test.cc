#include "batch/memory.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tilewise::batch {
namespace {

using testing::HasSubstr;

constexpr int64_t kMega = 1'000'000;

TEST(Memory, TheLongestLineDependsOnTheLimitAlone) {
  EXPECT_EQ(longest_line(512 * kMega), 250'000u);
  EXPECT_EQ(longest_line(0), longest_line(512 * kMega)) << "the default";
  EXPECT_EQ(longest_line(1), size_t{64} << 10) << "rows of usual length are always taken";
  EXPECT_EQ(longest_line(int64_t{1} << 50), size_t{1} << 20);
}

TEST(Memory, WhatDoesNotFitIsRefusedWithWhatIsNeeded) {
  EXPECT_TRUE(share_memory(512 * kMega, 50 * kMega, 2).ok());
  EXPECT_TRUE(share_memory(0, 5000 * kMega, 200).ok()) << "the default grows with the replicas";
  for (const int32_t replicas : {1, 2, 64, 1000}) {
    const Status status = share_memory(100 * kMega, 99 * kMega, replicas).status();
    EXPECT_EQ(status.code(), StatusCode::invalid_argument);
    EXPECT_THAT(status.message(), HasSubstr("--memory"));
    const std::string& needed = status.problem().expected;
    const int64_t megabytes = std::stoll(needed.substr(needed.find_first_of("0123456789")));
    EXPECT_TRUE(share_memory(megabytes * kMega, 99 * kMega, replicas).ok()) << needed;
    EXPECT_FALSE(share_memory((megabytes - 2) * kMega, 99 * kMega, replicas).ok()) << needed;
  }
}

TEST(Memory, WindowsTakeWhatIsLeft) {
  EXPECT_EQ(share_memory(0, 50 * kMega, 2)->window_bytes, rows::kMostWindowBytes);
  EXPECT_EQ(share_memory(2000 * kMega, 50 * kMega, 2)->window_bytes, rows::kMostWindowBytes);
  const auto tight = share_memory(100 * kMega, 20 * kMega, 1);
  ASSERT_TRUE(tight.ok());
  EXPECT_LT(tight->window_bytes, 80'000'000U);
  EXPECT_GE(tight->window_bytes, size_t{2} << 20) << "zstd's usual one is always taken";
}

TEST(Memory, AnonymousBytesCountWhatIsTouched) {
  const int64_t before = anonymous_bytes();
  if (before == 0) GTEST_SKIP() << "the system does not say";
  const std::vector<char> touched(size_t{32} << 20, 'x');
  EXPECT_GE(anonymous_bytes(), before + (int64_t{24} << 20));
  EXPECT_EQ(touched.back(), 'x');
}

}  // namespace
}  // namespace tilewise::batch
