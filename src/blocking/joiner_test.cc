// Groups of matches: who is in them, in which order, and how well they hold together.
#include <algorithm>
#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blocking/clusters.h"

namespace tilewise::blocking {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::string> ids(const Joiner& joiner, const Group& group) {
  std::vector<std::string> names;
  for (const uint32_t member : group.members) names.emplace_back(joiner.id(member));
  return names;
}

TEST(Joiner, JoinsThroughOthersAndSortsByTheBytesOfIds) {
  Joiner joiner;
  joiner.add_match("z", "b", 0.9F);
  joiner.add_match("10", "9", 0.8F);
  joiner.add_match("b", "a", 0.7F);
  const auto groups = joiner.groups(2);
  ASSERT_THAT(groups, SizeIs(2));
  EXPECT_THAT(ids(joiner, groups[0]), ElementsAre("10", "9"));
  EXPECT_THAT(ids(joiner, groups[1]), ElementsAre("a", "b", "z"));
}

TEST(Joiner, ARecordAloneIsAGroupWhereThatIsAskedFor) {
  Joiner joiner;
  joiner.add_record("lonely");
  joiner.add_match("x", "x", 1);
  EXPECT_THAT(joiner.groups(2), IsEmpty());
  const auto groups = joiner.groups(1);
  ASSERT_THAT(groups, SizeIs(2));
  EXPECT_THAT(ids(joiner, groups[0]), ElementsAre("lonely"));
  EXPECT_EQ(groups[1].matches, 0) << "a record that matches itself is no match";
}

TEST(Joiner, TheWeakestLinkIsWhatHoldsAGroupTogether) {
  Joiner joiner;
  // A triangle whose weak side is not needed, and a bridge that is.
  joiner.add_match("a", "b", 0.9F);
  joiner.add_match("b", "c", 0.8F);
  joiner.add_match("a", "c", 0.1F);
  joiner.add_match("c", "d", 0.5F);
  const auto groups = joiner.groups(2);
  ASSERT_THAT(groups, SizeIs(1));
  EXPECT_EQ(groups[0].weakest, 0.5F);
  EXPECT_EQ(groups[0].matches, 4);
  EXPECT_DOUBLE_EQ(groups[0].density(6), 4.0 / 6);
}

TEST(Joiner, APairCountsOnceWithItsBestScore) {
  Joiner joiner;
  joiner.add_match("a", "b", 0.2F);
  joiner.add_match("b", "a", 0.6F);
  joiner.add_match("a", "b", 0.4F);
  const auto groups = joiner.groups(2);
  ASSERT_THAT(groups, SizeIs(1));
  EXPECT_EQ(groups[0].matches, 1);
  EXPECT_EQ(groups[0].weakest, 0.6F);
}

TEST(Joiner, TheOrderOfTheMatchesDoesNotMatter) {
  struct Match {
    std::string left, right;
    float score;
  };
  std::mt19937 random(5);
  std::vector<Match> matches;
  for (int i = 0; i < 300; ++i) {
    matches.push_back({std::to_string(random() % 250), std::to_string(random() % 250),
                       static_cast<float>(random() % 16) / 16});
  }
  const auto describe = [&] {
    Joiner joiner;
    for (const Match& match : matches) joiner.add_match(match.left, match.right, match.score);
    std::string text;
    for (const Group& group : joiner.groups(1)) {
      for (const std::string& id : ids(joiner, group)) text += id + " ";
      text += std::to_string(group.matches) + " " + std::to_string(group.weakest) + "\n";
    }
    return text;
  };
  const std::string first = describe();
  for (int round = 0; round < 5; ++round) {
    std::shuffle(matches.begin(), matches.end(), random);
    for (Match& match : matches) std::swap(match.left, match.right);
    EXPECT_EQ(describe(), first);
  }
}

TEST(Joiner, AHigherThresholdThanTheWeakestLinkSplitsAGroup) {
  std::mt19937 random(9);
  for (int round = 0; round < 20; ++round) {
    Joiner all;
    std::vector<std::tuple<std::string, std::string, float>> matches;
    for (int i = 0; i < 30; ++i) {
      matches.emplace_back(std::to_string(random() % 15), std::to_string(random() % 15),
                           static_cast<float>(random() % 1000) / 1000);
    }
    for (const auto& [a, b, score] : matches) all.add_match(a, b, score);
    for (const Group& group : all.groups(2)) {
      // The group's records alone, with the threshold at its weakest link and just above it.
      for (const bool above : {false, true}) {
        Joiner rest;
        for (const uint32_t member : group.members) rest.add_record(all.id(member));
        for (const auto& [a, b, score] : matches) {
          const auto is_member = [&](const std::string& id) {
            const auto names = ids(all, group);
            return std::find(names.begin(), names.end(), id) != names.end();
          };
          if (above ? score <= group.weakest : score < group.weakest) continue;
          if (is_member(a)) rest.add_match(a, b, score);
        }
        EXPECT_EQ(rest.groups(1).size() > 1, above);
      }
    }
  }
}

}  // namespace
}  // namespace tilewise::blocking
