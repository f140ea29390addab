#include "text/trie.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace tilewise::text {
namespace {

constexpr auto kSame = [](unsigned char byte) { return byte; };

Trie::Match longest(const std::vector<TrieUnit>& units, uint32_t root, const std::string& text) {
  return Trie(units).longest(root, text.data(), text.data() + text.size(), kSame);
}

TEST(Trie, FindsTheLongestKeyThatTheTextBeginsWith) {
  const auto units = build_trie({{{"a", 1}, {"abc", 2}, {"b", 3}}});
  EXPECT_EQ(longest(units, 0, "abd").value, 1u);
  EXPECT_EQ(longest(units, 0, "abd").length, 1u);
  EXPECT_EQ(longest(units, 0, "abcd").value, 2u);
  EXPECT_EQ(longest(units, 0, "abcd").length, 3u);
  EXPECT_EQ(longest(units, 0, "xabc").value, Trie::kNone);
  EXPECT_EQ(longest(units, 0, "").value, Trie::kNone);
}

TEST(Trie, KeepsRootsApart) {
  const auto units = build_trie({{{"one", 1}}, {{"two", 2}}, {}});
  EXPECT_EQ(longest(units, 0, "two").value, Trie::kNone);
  EXPECT_EQ(longest(units, 1, "two").value, 2u);
  EXPECT_EQ(longest(units, 2, "two").value, Trie::kNone);
  EXPECT_TRUE(Trie(units).begins(0, 'o'));
  EXPECT_FALSE(Trie(units).begins(1, 'o'));
  for (uint32_t byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(Trie(units).begins(0, static_cast<uint8_t>(byte)), byte == 'o');
    EXPECT_FALSE(Trie(units).begins(2, static_cast<uint8_t>(byte)));
  }
}

TEST(Trie, TakesTheLastOfEqualKeys) {
  EXPECT_EQ(longest(build_trie({{{"key", 1}, {"key", 2}}}), 0, "key").value, 2u);
}

TEST(Trie, FoldsTheBytesOfTheText) {
  const auto units = build_trie({{{"abc", 7}}});
  const std::string text = "ABC";
  const auto lower = [](unsigned char byte) { return static_cast<unsigned char>(byte | 0x20); };
  EXPECT_EQ(Trie(units).longest(0, text.data(), text.data() + 3, lower).value, 7u);
}

TEST(Trie, HoldsTheZeroByteAndEveryOtherOfUtf8) {
  std::vector<TrieKey> keys;
  keys.reserve(0xFF);
  for (uint32_t byte = 0; byte < 0xFF; ++byte) {
    keys.push_back({std::string(1, static_cast<char>(byte)), byte});
  }
  const auto units = build_trie({keys});
  for (const TrieKey& key : keys) EXPECT_EQ(longest(units, 0, key.bytes + "x").value, key.value);
}

/// Strings over few letters, so that they share beginnings.
std::string random_string(std::mt19937& random, int letters, int longest_length) {
  std::string text(1 + random() % static_cast<unsigned>(longest_length), ' ');
  for (char& c : text) c = static_cast<char>(random() % static_cast<unsigned>(letters));
  return text;
}

// The reference looks at every key.
TEST(Trie, AgreesWithLookingAtEveryKey) {
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    const int letters = round % 2 == 0 ? 3 : 255;
    std::vector<std::vector<TrieKey>> roots(2);
    for (auto& keys : roots) {
      for (uint32_t i = 0; i < 300; ++i) keys.push_back({random_string(random, letters, 6), i});
    }
    const auto units = build_trie(roots);
    ASSERT_TRUE(Trie(units).validate(2, 300).ok());
    for (int i = 0; i < 2000; ++i) {
      const uint32_t root = random() % 2;
      const std::string text = random_string(random, letters, 9);
      Trie::Match expected;
      for (const TrieKey& key : roots[root]) {
        if (text.starts_with(key.bytes) && key.bytes.size() >= expected.length) {
          expected = {key.value, key.bytes.size()};
        }
      }
      const Trie::Match found = longest(units, root, text);
      ASSERT_EQ(found.value, expected.value);
      ASSERT_EQ(found.length, expected.length);
    }
  }
}

TEST(Trie, IsTheSameEachTime) {
  const std::vector<std::vector<TrieKey>> roots = {{{"b", 1}, {"a", 2}}, {{"ab", 3}}};
  const auto one = build_trie(roots), two = build_trie(roots);
  ASSERT_EQ(one.size(), two.size());
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].children, two[i].children);
    EXPECT_EQ(one[i].label_and_value, two[i].label_and_value);
  }
}

TEST(Trie, RefusesWhatLeadsOutside) {
  const auto good = build_trie({{{"ab", 4}}});
  EXPECT_TRUE(Trie(good).validate(1, 5).ok());
  EXPECT_FALSE(Trie(good).validate(1, 4).ok()) << "a value as large as the number of values";
  auto broken = good;
  broken[10].children = static_cast<uint32_t>(broken.size());
  EXPECT_FALSE(Trie(broken).validate(1, 5).ok());
  EXPECT_FALSE(Trie().validate(1, 5).ok());
  EXPECT_FALSE(Trie(std::span(good).first(good.size() - 1)).validate(1, 5).ok());
}

}  // namespace
}  // namespace tilewise::text
