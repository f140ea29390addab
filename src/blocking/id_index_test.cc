#include "blocking/id_index.h"

#include <random>
#include <string>
#include <unordered_map>

#include <gtest/gtest.h>

namespace tilewise::blocking {
namespace {

TEST(IdIndex, NumbersTextsAsTheyCome) {
  IdIndex index;
  EXPECT_EQ(index.find("a"), std::nullopt);
  EXPECT_EQ(index.add("a").index, 0U);
  EXPECT_EQ(index.add("").index, 1U);
  EXPECT_EQ(index.add("b~c").index, 2U);
  const auto again = index.add("a");
  EXPECT_EQ(again.index, 0U);
  EXPECT_FALSE(again.is_new);
  EXPECT_EQ(index.size(), 3U);
  EXPECT_EQ(index.text(0), "a");
  EXPECT_EQ(index.text(1), "");
  EXPECT_EQ(index.text(2), "b~c");
}

TEST(IdIndex, AgreesWithAMapWhileItGrows) {
  std::mt19937 random(7);
  IdIndex index;
  std::unordered_map<std::string, uint32_t> expected;
  for (int i = 0; i < 20000; ++i) {
    const std::string text =
        "id" + std::to_string(random() % 7000) + std::string(random() % 3, '\0');
    const auto [entry, is_new] = expected.emplace(text, static_cast<uint32_t>(expected.size()));
    const IdIndex::Added added = index.add(text);
    ASSERT_EQ(added.is_new, is_new);
    ASSERT_EQ(added.index, entry->second);
  }
  ASSERT_EQ(index.size(), expected.size());
  for (const auto& [text, number] : expected) {
    ASSERT_EQ(index.find(text), number);
    ASSERT_EQ(index.text(number), text);
  }
  EXPECT_EQ(index.find("another"), std::nullopt);
}

}  // namespace
}  // namespace tilewise::blocking
