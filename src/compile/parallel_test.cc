#include "compile/parallel.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "base/thread_limit_fixture.h"

namespace tilewise::compile {
namespace {

bool does_each_once(size_t count) {
  std::vector<std::atomic<int>> calls(count);
  for_each_in_parallel(count, [&](size_t i) { ++calls[i]; });
  return std::ranges::all_of(calls, [](const auto& called) { return called == 1; });
}

TEST(ForEachInParallel, DoesEachOnce) {
  for (const size_t count : {0, 1, 2, 1000}) EXPECT_TRUE(does_each_once(count)) << count;
}

TEST(ForEachInParallel, DoesAllWithoutOtherThreads) {
  const std::optional<int> result = without_threads([] { return does_each_once(100) ? 0 : 1; });
  if (!result) GTEST_SKIP() << "the number of threads cannot be limited here";
  EXPECT_EQ(*result, 0);
}

}  // namespace
}  // namespace tilewise::compile
