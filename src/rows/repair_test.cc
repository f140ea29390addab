#include "rows/repair.h"

#include <gtest/gtest.h>

namespace tilewise::rows {
namespace {

// Expected values: Python 3, bytes.decode("utf-8", errors="replace").
TEST(Repair, ReplacesEachMaximalPartOfABrokenSequenceAsPythonDoes) {
  const std::pair<std::string, std::string> cases[] = {
      {"", ""},
      {"plain", "plain"},
      {"caf\xC3\xA9 \xE4\xB8\xAD \xF0\x9F\x98\x80", "caf\xC3\xA9 \xE4\xB8\xAD \xF0\x9F\x98\x80"},
      {"a\xFFz", "a\uFFFDz"},
      {"a\x80\x80z", "a\uFFFD\uFFFDz"},
      {"a\xC3", "a\uFFFD"},
      {"\xC3(", "\uFFFD("},
      {"\xE4\xB8", "\uFFFD"},
      {"\xE4\xB8z", "\uFFFDz"},
      {"\xF0\x9F\x98", "\uFFFD"},
      {"\xF0\x9F\x98\xF0\x9F\x98\x80", "\uFFFD\xF0\x9F\x98\x80"},
      {"\xC0\xAF", "\uFFFD\uFFFD"},                      // overlong "/"
      {"\xE0\x80\xAF", "\uFFFD\uFFFD\uFFFD"},            // overlong
      {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},            // a surrogate
      {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},  // above U+10FFFF
      {"\xF5\x80", "\uFFFD\uFFFD"},
  };
  for (const auto& [broken, expected] : cases) EXPECT_EQ(replace_invalid_utf8(broken), expected);
}

std::string without_lone_surrogates(std::string json) {
  replace_lone_surrogates({json.data(), json.size()});
  return json;
}

TEST(Repair, ReplacesLoneSurrogatesOnly) {
  EXPECT_EQ(without_lone_surrogates(R"("\ud83d\ude00")"), R"("\ud83d\ude00")");
  EXPECT_EQ(without_lone_surrogates(R"("\uD83D\uDE00\uD83D")"), R"("\uD83D\uDE00\ufffd")");
  EXPECT_EQ(without_lone_surrogates(R"("\ud83d")"), R"("\ufffd")");
  EXPECT_EQ(without_lone_surrogates(R"("\ude00\ud83d")"), R"("\ufffd\ufffd")");
  EXPECT_EQ(without_lone_surrogates(R"("\ud83d\ud83d\ude00")"), R"("\ufffd\ud83d\ude00")");
  EXPECT_EQ(without_lone_surrogates(R"("\ud83d\n")"), R"("\ufffd\n")");
  EXPECT_EQ(without_lone_surrogates(R"("\\ud83d")"), R"("\\ud83d")")
      << "an escaped backslash and plain letters";
  EXPECT_EQ(without_lone_surrogates(R"("\\\ud83d")"), R"("\\\ufffd")");
  EXPECT_EQ(without_lone_surrogates(R"("\u00e9\uzzzz\ud8)"), R"("\u00e9\uzzzz\ud8)")
      << "left to the JSON parser";
  EXPECT_EQ(without_lone_surrogates("\\"), "\\");
}

}  // namespace
}  // namespace tilewise::rows
