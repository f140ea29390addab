#include "blocking/key_blocks.h"

#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tilewise::blocking {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr uint32_t kNone = RecordKeys::kNoValue;

struct Record {
  std::vector<uint32_t> numbers;
  std::vector<uint32_t> values;
};

RecordKeys keys_of(const std::vector<Record>& records) {
  RecordKeys keys(records.empty() ? 0 : records.front().values.size());
  for (const Record& record : records) keys.add(record.numbers, record.values);
  return keys;
}

std::set<std::array<uint32_t, 3>> to_set(const std::vector<KeyPair>& pairs) {
  std::set<std::array<uint32_t, 3>> set;
  for (const KeyPair& pair : pairs)
    EXPECT_TRUE(set.insert({pair.left, pair.right, pair.key}).second);
  return set;
}

TEST(KeyBlocks, RecordsThatShareANumberMakePairs) {
  KeyReport report;
  const RecordKeys keys = keys_of({{{5}, {}}, {{6, 5}, {}}, {{}, {}}, {{6, 6}, {}}});
  EXPECT_THAT(
      to_set(pairs_of_keys(keys, nullptr, 50, report)),
      UnorderedElementsAre(std::array<uint32_t, 3>{0, 1, 5}, std::array<uint32_t, 3>{1, 3, 6}));
  EXPECT_EQ(report.blocks, 2);
  EXPECT_EQ(report.skipped_blocks, 0);
  EXPECT_EQ(report.largest_block, 2);
}

TEST(KeyBlocks, ValuesMustNotContradict) {
  KeyReport report;
  const RecordKeys keys = keys_of({{{1}, {8}}, {{1}, {9}}, {{1}, {kNone}}});
  EXPECT_THAT(
      to_set(pairs_of_keys(keys, nullptr, 50, report)),
      UnorderedElementsAre(std::array<uint32_t, 3>{0, 2, 1}, std::array<uint32_t, 3>{1, 2, 1}));
}

TEST(KeyBlocks, LargeBlocksAreSkippedAndCounted) {
  KeyReport report;
  const RecordKeys keys = keys_of({{{1, 2}, {}}, {{1, 2}, {}}, {{1}, {}}});
  EXPECT_THAT(to_set(pairs_of_keys(keys, nullptr, 2, report)),
              UnorderedElementsAre(std::array<uint32_t, 3>{0, 1, 2}));
  EXPECT_EQ(report.blocks, 2);
  EXPECT_EQ(report.skipped_blocks, 1);
  EXPECT_EQ(report.largest_block, 3);
}

TEST(KeyBlocks, ANumberOfOneCatalogueAloneIsNoBlock) {
  KeyReport report;
  const RecordKeys left = keys_of({{{1}, {}}, {{1}, {}}});
  const RecordKeys right = keys_of({{{2}, {}}, {{2}, {}}});
  EXPECT_THAT(pairs_of_keys(left, &right, 50, report), IsEmpty());
  EXPECT_EQ(report.blocks, 0);
}

// Against all pairs, one by one.
TEST(KeyBlocks, AgreesWithTheDefinition) {
  std::mt19937 random(11);
  const auto random_records = [&] {
    std::vector<Record> records(random() % 30);
    for (Record& record : records) {
      for (size_t i = random() % 4; i > 0; --i) record.numbers.push_back(random() % 12);
      for (int i = 0; i < 2; ++i) record.values.push_back(random() % 3 == 0 ? kNone : random() % 2);
    }
    return records;
  };
  const auto has = [](const Record& record, uint32_t key) {
    return std::count(record.numbers.begin(), record.numbers.end(), key) > 0;
  };
  const auto contradict = [](const Record& a, const Record& b) {
    for (size_t i = 0; i < a.values.size(); ++i) {
      if (a.values[i] != kNone && b.values[i] != kNone && a.values[i] != b.values[i]) return true;
    }
    return false;
  };
  for (int round = 0; round < 50; ++round) {
    const bool one = round % 2 == 0;
    const auto left = random_records();
    const auto right = one ? left : random_records();
    const size_t most = 3 + random() % 8;
    std::set<std::array<uint32_t, 3>> expected;
    for (uint32_t key = 0; key < 12; ++key) {
      size_t block = 0;
      for (const Record& record : left) block += has(record, key) ? 1 : 0;
      for (const Record& record : right) block += !one && has(record, key) ? 1 : 0;
      if (block > most) continue;
      for (uint32_t i = 0; i < left.size(); ++i) {
        for (uint32_t j = one ? i + 1 : 0; j < right.size(); ++j) {
          if (has(left[i], key) && has(right[j], key) && !contradict(left[i], right[j]))
            expected.insert({i, j, key});
        }
      }
    }
    KeyReport report;
    const RecordKeys left_keys = keys_of(left), right_keys = keys_of(right);
    EXPECT_EQ(to_set(pairs_of_keys(left_keys, one ? nullptr : &right_keys,
                                   static_cast<int64_t>(most), report)),
              expected);
  }
}

}  // namespace
}  // namespace tilewise::blocking
