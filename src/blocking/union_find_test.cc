#include "blocking/union_find.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace tilewise::blocking {
namespace {

/// reachable[i][j], by Warshall's algorithm.
using Closure = std::vector<std::vector<bool>>;

Closure closure_of(size_t n, const std::vector<std::pair<uint32_t, uint32_t>>& edges) {
  Closure reachable(n, std::vector<bool>(n, false));
  for (size_t i = 0; i < n; ++i) reachable[i][i] = true;
  for (const auto& [a, b] : edges) reachable[a][b] = reachable[b][a] = true;
  for (size_t k = 0; k < n; ++k) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        if (reachable[i][k] && reachable[k][j]) reachable[i][j] = true;
      }
    }
  }
  return reachable;
}

TEST(UnionFind, IsTheClosureOfItsEdges) {
  std::mt19937 random(3);
  for (int round = 0; round < 30; ++round) {
    const size_t n = 1 + random() % 40;
    std::vector<std::pair<uint32_t, uint32_t>> edges;
    for (size_t i = random() % (n + 5); i > 0; --i) {
      edges.emplace_back(static_cast<uint32_t>(random() % n), static_cast<uint32_t>(random() % n));
    }
    UnionFind sets(n);
    size_t joins = 0;
    for (const auto& [a, b] : edges) joins += sets.join(a, b) ? 1 : 0;

    const Closure expected = closure_of(n, edges);
    size_t roots = 0;
    for (uint32_t i = 0; i < n; ++i) {
      const auto members = std::count(expected[i].begin(), expected[i].end(), true);
      ASSERT_EQ(sets.size(sets.find(i)), static_cast<size_t>(members));
      roots += sets.find(i) == i ? 1 : 0;
      for (uint32_t j = 0; j < n; ++j) {
        ASSERT_EQ(sets.find(i) == sets.find(j), expected[i][j]) << i << " and " << j;
      }
    }
    ASSERT_EQ(roots, n - joins);
  }
}

TEST(UnionFind, ALongChainStaysOneSet) {
  constexpr uint32_t kSize = 100000;
  UnionFind sets(kSize);
  for (uint32_t i = 1; i < kSize; ++i) EXPECT_TRUE(sets.join(i - 1, i));
  EXPECT_EQ(sets.find(0), sets.find(kSize - 1));
  EXPECT_EQ(sets.size(sets.find(7)), kSize);
  EXPECT_FALSE(sets.join(0, kSize / 2));
}

}  // namespace
}  // namespace tilewise::blocking
