#include "text/utf8.h"

#include <array>
#include <span>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "base/sha256.h"
#include "text/test_support.h"

namespace tilewise::text {
namespace {

TEST(Utf8, DecodesWhatItAppends) {
  for (uint32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text = "x";
    append_utf8(c, text);
    ASSERT_TRUE(is_valid_utf8(text)) << c;
    const Decoded decoded = decode(text.data() + 1);
    ASSERT_EQ(decoded.code_point, c);
    ASSERT_EQ(decoded.length, text.size() - 1);
    ASSERT_EQ(decode_last(text), c);
  }
}

TEST(Utf8, KeepsValidText) {
  const std::string text = "a\x01\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80";
  EXPECT_EQ(replace_invalid_utf8(text), text);
  EXPECT_EQ(replace_invalid_utf8(""), "");
}

/// `text` with every ? replaced by U+FFFD.
std::string with_replacements(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '?' ? "\xEF\xBF\xBD" : std::string(1, c);
  return out;
}

// The tables 3-8 to 3-11 of the Unicode standard 15, "U+FFFD substitution of maximal subparts".
TEST(Utf8, ReplacesEachMaximalSubpart) {
  EXPECT_EQ(replace_invalid_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"),
            with_replacements("????????A"));
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"),
            with_replacements("????????A"));
  EXPECT_EQ(replace_invalid_utf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"),
            with_replacements("?????A??B"));
  EXPECT_EQ(replace_invalid_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"),
            with_replacements("????A"));
}

// All strings of four bytes from the edges of every range, against Python's
// decode(errors="replace").
TEST(Utf8, AgreesWithPythonOnEveryKindOfBrokenText) {
  constexpr std::string_view edges(
      "\x00\x41\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef\xf0\xf1\xf3\xf4"
      "\xf5\xff",
      25);
  std::string all;
  for (const char a : edges) {
    for (const char b : edges) {
      for (const char c : edges) {
        for (const char d : edges) {
          const std::array<char, 4> text = {a, b, c, d};
          if (!all.empty()) all += '\n';
          all += replace_invalid_utf8({text.data(), text.size()});
        }
      }
    }
  }
  EXPECT_EQ("bytes invalid " + sha256_hex(std::as_bytes(std::span(all))),
            golden_lines("characters.golden.txt").back());
}

}  // namespace
}  // namespace tilewise::text
