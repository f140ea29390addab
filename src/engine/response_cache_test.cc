#include "engine/response_cache.h"

#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace tilewise::engine {
namespace {

/// A question with its own memory.
struct Question {
  std::vector<int32_t> ids;
  std::vector<int32_t> types;
  uint64_t model = 1;
  int32_t task = 0;
  bool ignores_exits = false;

  explicit Question(std::vector<int32_t> its_ids) : ids(std::move(its_ids)), types(ids.size(), 0) {}
  CacheKey key() const { return {model, task, ignores_exits, ids, types}; }
};

bool finds(ResponseCache& cache, const Question& question, const std::vector<float>& expected) {
  std::vector<float> values(expected.size(), -1);
  return cache.find(question.key(), values) &&
         std::memcmp(values.data(), expected.data(), expected.size() * sizeof(float)) == 0;
}

TEST(ResponseCache, GivesBackTheBits) {
  ResponseCache cache(1 << 20);
  const Question question({101, 5, 102});
  // -0, a denormal and a NaN, too.
  const std::vector<float> values = {1.5F, -0.0F, 1e-42F, std::nanf("7")};
  EXPECT_FALSE(finds(cache, question, values));
  cache.insert(question.key(), values);
  EXPECT_TRUE(finds(cache, question, values));
  EXPECT_EQ(cache.counts().entries, 1);
  EXPECT_GE(cache.counts().bytes, static_cast<int64_t>((3 + 3 + 4) * sizeof(float)));
}

TEST(ResponseCache, EveryPartOfTheQuestionCounts) {
  ResponseCache cache(1 << 20);
  const Question question({101, 5, 102});
  cache.insert(question.key(), std::vector<float>{1});
  Question other = question;
  other.model = 2;
  EXPECT_FALSE(finds(cache, other, {1}));
  other = question;
  other.task = 1;
  EXPECT_FALSE(finds(cache, other, {1}));
  other = question;
  other.ignores_exits = true;
  EXPECT_FALSE(finds(cache, other, {1}));
  other = question;
  other.types[2] = 1;
  EXPECT_FALSE(finds(cache, other, {1}));
  other = question;
  other.ids[1] = 6;
  EXPECT_FALSE(finds(cache, other, {1}));
  EXPECT_FALSE(finds(cache, Question({101, 5}), {1}));
  EXPECT_FALSE(finds(cache, Question({101, 5, 102, 0}), {1}));
  EXPECT_FALSE(finds(cache, question, {1, 2})) << "as many outputs as are asked for";
  EXPECT_TRUE(finds(cache, question, {1}));
}

TEST(ResponseCache, TheSameAgainTakesNoMoreRoom) {
  ResponseCache cache(1 << 20);
  const Question question({101, 5, 102});
  for (int i = 0; i < 3; ++i) cache.insert(question.key(), std::vector<float>{1, 2});
  EXPECT_EQ(cache.counts().entries, 1);
  ResponseCache once(1 << 20);
  once.insert(question.key(), std::vector<float>{1, 2});
  EXPECT_EQ(cache.counts().bytes, once.counts().bytes);
}

TEST(ResponseCache, KeepsItsBound) {
  for (const int64_t bound : {int64_t{4} << 10, int64_t{100} << 10, int64_t{1} << 20}) {
    ResponseCache cache(bound);
    for (int32_t i = 0; i < 20'000; ++i) {
      cache.insert(Question({101, i, 102}).key(), std::vector<float>(5));
      ASSERT_LE(cache.counts().bytes, bound);
    }
    EXPECT_LE(cache.counts().bytes, bound);
    EXPECT_GE(cache.counts().bytes, bound * 9 / 10) << "and it is used";
    EXPECT_TRUE(finds(cache, Question({101, 19'999, 102}), std::vector<float>(5)));
    EXPECT_FALSE(finds(cache, Question({101, 0, 102}), std::vector<float>(5)));
  }
}

TEST(ResponseCache, WhatIsAskedForStays) {
  ResponseCache cache(4 << 10);  // one shard
  const Question asked({1, 2, 3});
  const Question forgotten({3, 2, 1});
  cache.insert(asked.key(), std::vector<float>{1});
  cache.insert(forgotten.key(), std::vector<float>{2});
  for (int32_t i = 0; i < 1000; ++i) {
    cache.insert(Question({101, i, 102}).key(), std::vector<float>{0});
    ASSERT_TRUE(finds(cache, asked, {1})) << i;
  }
  EXPECT_FALSE(finds(cache, forgotten, {2}));
}

TEST(ResponseCache, WhatIsLargerThanAllOfItIsNotKept) {
  ResponseCache cache(1000);
  cache.insert(Question({1}).key(), std::vector<float>(1000));
  EXPECT_EQ(cache.counts().entries, 0);
  cache.insert(Question({1}).key(), std::vector<float>(10));
  EXPECT_EQ(cache.counts().entries, 1);
}

TEST(ResponseCache, Counts) {
  ResponseCache cache(1000);
  cache.count(2, 3);
  cache.count(1, 0);
  EXPECT_EQ(cache.counts().hits, 3);
  EXPECT_EQ(cache.counts().misses, 3);
}

TEST(ResponseCache, ManyThreadsMayUseIt) {
  ResponseCache cache(64 << 10);
  std::vector<std::thread> threads;
  for (int32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&cache, t] {
      for (int32_t i = 0; i < 5000; ++i) {
        const int32_t n = (i * 7 + t) % 300;
        const Question question({101, n, 102});
        float value = -1;
        if (cache.find(question.key(), {&value, 1})) {
          ASSERT_EQ(value, static_cast<float>(n));
        }
        value = static_cast<float>(n);
        cache.insert(question.key(), {&value, 1});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace tilewise::engine
