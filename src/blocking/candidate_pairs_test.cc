#include "blocking/candidate_pairs.h"

#include <gtest/gtest.h>

namespace tilewise::blocking {
namespace {

constexpr float kNoSimilarity = CandidatePair::kNoSimilarity;
constexpr uint32_t kNoKey = CandidatePair::kNoKey;

TEST(CandidatePairs, EachPairComesOnceWithAllThatIsKnown) {
  CandidatePairs pairs;
  pairs.add({2, 5, kNoSimilarity, 9});
  pairs.add({1, 7, 0.5F, kNoKey});
  pairs.add({2, 5, -0.25F, kNoKey});
  pairs.add({2, 5, kNoSimilarity, 4});
  pairs.add({1, 3, kNoSimilarity, 6});
  pairs.merge();
  ASSERT_EQ(pairs.all().size(), 3U);
  const CandidatePair &first = pairs.all()[0], &second = pairs.all()[1], &third = pairs.all()[2];
  EXPECT_EQ(first.right, 3U);
  EXPECT_FALSE(first.has_similarity());
  EXPECT_EQ(second.right, 7U);
  EXPECT_FALSE(second.has_key());
  EXPECT_EQ(third.similarity, -0.25F);
  EXPECT_EQ(third.key, 4U);
  EXPECT_TRUE(pairs.has(2, 5));
  EXPECT_FALSE(pairs.has(5, 2));
  EXPECT_FALSE(pairs.has(1, 4));
}

TEST(CandidatePairs, NonePassesThrough) {
  CandidatePairs pairs;
  pairs.merge();
  EXPECT_TRUE(pairs.all().empty());
  EXPECT_FALSE(pairs.has(0, 0));
}

}  // namespace
}  // namespace tilewise::blocking
