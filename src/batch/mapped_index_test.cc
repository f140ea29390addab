#include "batch/mapped_index.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "base/temporary_folder.h"

namespace tilewise::batch {
namespace {

MappedIndex create(const TemporaryFolder& folder, uint64_t entries) {
  auto index = MappedIndex::create(folder.path(), entries);
  EXPECT_TRUE(index.ok()) << index.status().message();
  return *std::move(index);
}

TEST(MappedIndex, FindsWhatWasInsertedHoweverItGrew) {
  const TemporaryFolder folder;
  for (const uint64_t expected : {0, 30'000}) {
    MappedIndex index = create(folder, expected);
    std::mt19937_64 random(1);
    std::vector<uint64_t> hashes(30'000);
    for (uint64_t& hash : hashes) hash = random();
    for (size_t i = 0; i < hashes.size(); ++i) ASSERT_TRUE(index.insert(hashes[i], i).ok());
    EXPECT_EQ(index.size(), hashes.size());
    for (size_t i = 0; i < hashes.size(); ++i) {
      EXPECT_EQ(index.find(hashes[i], [](uint64_t) { return true; }), i);
      EXPECT_EQ(index.find(random(), [](uint64_t) { return true; }), std::nullopt);
    }
  }
}

// A hash tells nothing apart: hashes of all bits set begin at the last slot and go on at the first.
TEST(MappedIndex, EqualHashesAreToldApartByTheirPositions) {
  const TemporaryFolder folder;
  MappedIndex index = create(folder, 10);
  for (uint64_t i = 0; i < 5000; ++i) {
    ASSERT_TRUE(index.insert(i % 2 == 0 ? ~uint64_t{0} : 0, i).ok());
  }
  const auto find = [&](uint64_t hash, uint64_t wanted) {
    return index.find(hash, [&](uint64_t position) { return position == wanted; });
  };
  for (const uint64_t wanted : {0, 2, 2500, 4998}) EXPECT_EQ(find(~uint64_t{0}, wanted), wanted);
  EXPECT_EQ(find(0, 4999), 4999U);
  EXPECT_EQ(find(0, 4998), std::nullopt);
  EXPECT_EQ(find(0, 5001), std::nullopt);
}

TEST(MappedIndex, LeavesNothingInItsDirectory) {
  const TemporaryFolder folder;
  const MappedIndex index = create(folder, 100);
  EXPECT_EQ(folder.entries(), 0);
  EXPECT_FALSE(MappedIndex::create("/nonexistent/directory", 1).ok());
}

}  // namespace
}  // namespace tilewise::batch
