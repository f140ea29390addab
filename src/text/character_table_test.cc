// What becomes of each of Unicode's code points, against hashes of what Hugging Face `tokenizers`
// makes of them.
#include "text/character_table.h"

#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <utf8proc.h>

#include "base/sha256.h"
#include "text/normalizer.h"
#include "text/test_support.h"
#include "text/unicode.h"

namespace tilewise::text {
namespace {

class OwnedTable {
 public:
  explicit OwnedTable(const model::TokenizerSpec& spec)
      : parts_(build_character_table(spec)), table_(parts_.blocks, parts_.entries, parts_.records) {
    EXPECT_TRUE(table_.validate().ok());
  }
  const CharacterTable& operator*() const { return table_; }

 private:
  CharacterTableParts parts_;
  CharacterTable table_;
};

/// SHA-256 over one line for each code point of a block.
std::string hash_block(uint32_t first, const std::function<std::string(uint32_t)>& line_of) {
  std::string all;
  for (uint32_t c = first; c < first + 0x8000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    if (c != first) all += '\n';
    all += line_of(c);
  }
  return sha256_hex(std::as_bytes(std::span(all)));
}

/// The golden hashes of one column, by first code point.
std::map<uint32_t, std::string> golden_hashes(const std::string& column) {
  std::map<uint32_t, std::string> hashes;
  for (const std::string& line : golden_lines("characters.golden.txt")) {
    std::istringstream fields(line);
    std::string first, name, hash;
    fields >> first >> name >> hash;
    if (name == column) hashes[static_cast<uint32_t>(std::stoul(first, nullptr, 16))] = hash;
  }
  EXPECT_EQ(hashes.size(), 34u) << column;
  return hashes;
}

std::string between_letters(uint32_t c) {
  std::string text = "a";
  append_utf8(c, text);
  return text + "b";
}

/// The words of a text, split by kind alone.
struct WordSink {
  std::string words;
  bool in_word = false;

  void put(CharacterKind kind, const char* bytes, size_t length) {
    const bool joins = kind == CharacterKind::word && in_word;
    in_word = kind == CharacterKind::word;
    if (kind == CharacterKind::space) return;
    if (!joins && !words.empty()) words += '\t';
    words.append(bytes, length);
  }
};

TEST(Unicode, ComesFromTheVersionThatTheDifferencesWereTakenFrom) {
  EXPECT_STREQ(utf8proc_unicode_version(), "15.0.0")
      << "run src/text/make_unicode_differences.py with this version of utf8proc: tables must be "
         "the same on every machine";
}

class NormalisesEveryCharacter : public testing::TestWithParam<const char*> {};

TEST_P(NormalisesEveryCharacter, LikeTokenizers) {
  const OwnedTable table(golden_spec(GetParam()));
  for (const auto& [first, expected] : golden_hashes(GetParam())) {
    EXPECT_EQ(
        hash_block(first, [&](uint32_t c) { return normalized_text(*table, between_letters(c)); }),
        expected)
        << std::hex << first;
  }
}

INSTANTIATE_TEST_SUITE_P(CharacterTable, NormalisesEveryCharacter,
                         testing::Values("uncased", "cased", "accents", "raw"),
                         [](const auto& param) { return std::string(param.param); });

TEST(CharacterTable, SplitsWordsAtEveryCharacterLikeTokenizers) {
  model::TokenizerSpec nothing;
  nothing.clean_text = nothing.separate_cjk = nothing.lower_case = nothing.strip_accents = false;
  const OwnedTable table(nothing);
  for (const auto& [first, expected] : golden_hashes("words")) {
    const auto words = [&](uint32_t c) {
      WordSink sink;
      Normalizer<WordSink>(*table, sink).normalize(between_letters(c));
      return sink.words;
    };
    EXPECT_EQ(hash_block(first, words), expected) << std::hex << first;
  }
}

TEST(CharacterTable, KnowsWhatTouchesASingleWord) {
  const OwnedTable table(model::TokenizerSpec{});
  for (const auto& [first, expected] : golden_hashes("single_word")) {
    EXPECT_EQ(hash_block(first, [&](uint32_t c) { return (*table).is_word(c) ? "1" : "0"; }),
              expected)
        << std::hex << first;
  }
}

TEST(CharacterTable, KnowsWhiteSpace) {
  const OwnedTable table(model::TokenizerSpec{});
  for (const auto& [first, expected] : golden_hashes("white_space")) {
    EXPECT_EQ(hash_block(first, [&](uint32_t c) { return (*table).is_whitespace(c) ? "1" : "0"; }),
              expected)
        << std::hex << first;
  }
}

// Text between added tokens that ask for normalised text passes through the table twice.
TEST(CharacterTable, ChangesNothingTheSecondTime) {
  for (const char* name : {"uncased", "cased", "accents", "raw"}) {
    const OwnedTable table(golden_spec(name));
    for (uint32_t c = 0; c < kCodePoints; ++c) {
      if (c >= 0xD800 && c < 0xE000) continue;
      WordSink once, twice;
      const std::string text = normalized_text(*table, between_letters(c));
      Normalizer<WordSink>(*table, once).normalize(between_letters(c));
      Normalizer<WordSink>(*table, twice, MarkOrder::keep).normalize(text);
      ASSERT_EQ(once.words, twice.words) << name << std::hex << " " << c;
    }
  }
}

TEST(CharacterTable, SeesTextThatVanishes) {
  const model::TokenizerSpec spec;
  EXPECT_TRUE(vanishes("", spec));
  EXPECT_TRUE(vanishes("\x01\xCC\x81\xE2\x80\x8B", spec))
      << "control, acute accent, zero-width space";
  EXPECT_FALSE(vanishes("\x01 ", spec));
}

class BrokenTable : public testing::Test {
 protected:
  bool is_valid() const {
    return CharacterTable(parts_.blocks, parts_.entries, parts_.records).validate().ok();
  }
  CharacterTableParts parts_ = build_character_table({});
};

TEST_F(BrokenTable, IsValidBefore) { EXPECT_TRUE(is_valid()); }

TEST_F(BrokenTable, NamesABlockThatIsNotThere) {
  parts_.blocks[3] = static_cast<uint16_t>(parts_.entries.size() / CharacterTable::kBlockSize);
  EXPECT_FALSE(is_valid());
}

TEST_F(BrokenTable, EndsWithinABlock) {
  parts_.entries.pop_back();
  EXPECT_FALSE(is_valid());
}

TEST_F(BrokenTable, HasAnUnknownKind) {
  parts_.entries[100] = 7;
  EXPECT_FALSE(is_valid());
}

TEST_F(BrokenTable, HasARecordPastTheEnd) {
  parts_.entries[100] = 5 | static_cast<uint32_t>(parts_.records.size()) << 5;
  EXPECT_FALSE(is_valid());
}

TEST_F(BrokenTable, HasARecordThatIsCutOff) {
  while (is_valid() && !parts_.records.empty()) parts_.records.pop_back();
  EXPECT_FALSE(is_valid());
  EXPECT_GT(parts_.records.size(), 100u) << "the last record alone is broken";
}

TEST_F(BrokenTable, HasARecordThatIsNotUtf8) {
  parts_.entries[100] = 5 | static_cast<uint32_t>(parts_.records.size()) << 5;
  for (const int byte : {1, 0, 0, 2, 0xC3, 0x28})
    parts_.records.push_back(static_cast<uint8_t>(byte));
  EXPECT_FALSE(is_valid());
}

}  // namespace
}  // namespace tilewise::text
