// Unigram tokenizers against Hugging Face `tokenizers` (tests/data/text/make_unigram.py), and what
// a person can work out.
#include "text/unigram.h"

#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include "base/sha256.h"
#include "text/decoder.h"
#include "text/test_support.h"
#include "text/utf8.h"

namespace tilewise::text {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr size_t kHeaderBytes = 304;

// ---- golden files

class UnigramGolden : public testing::TestWithParam<const char*> {};

TEST_P(UnigramGolden, GivesTheIdsOfTokenizersAndTheirText) {
  const OwnedTokenizer tokenizer(golden_spec(GetParam()));
  const std::vector<std::string> lines = golden_lines("unigram.golden.jsonl");
  ASSERT_GT(lines.size(), 100U);
  simdjson::dom::parser parser;
  for (const std::string& line : lines) {
    simdjson::dom::element row;
    ASSERT_EQ(parser.parse(line).get(row), simdjson::SUCCESS) << line;
    std::vector<int32_t> expected;
    for (const simdjson::dom::element id : row[GetParam()]["ids"].get_array()) {
      expected.push_back(static_cast<int32_t>(id.get_int64()));
    }
    const std::string text{std::string_view(row["text"])};
    EXPECT_EQ(tokenizer.encode(text), expected) << line;
    EXPECT_EQ(decode(*tokenizer, expected, false), std::string_view(row[GetParam()]["text"]));
  }
}

INSTANTIATE_TEST_SUITE_P(Unigram, UnigramGolden, testing::Values("xlm_roberta", "unigram"),
                         [](const auto& param) { return std::string(param.param); });

// ---- the best path

/// Pieces from id 1 on, with these scores; id 0 is the unknown piece, ten below the least of them.
model::TokenizerSpec spec_of(std::vector<std::pair<std::string, double>> pieces) {
  model::TokenizerSpec spec;
  spec.model = model::TokenizerModel::unigram;
  spec.vocabulary = {"<unk>"};
  spec.unigram.scores = {0};
  spec.unigram.prepend = model::Prepend::never;
  for (const auto& [text, score] : pieces) {
    spec.vocabulary.push_back(text);
    spec.unigram.scores.push_back(score);
  }
  spec.unigram.unknown_score = std::ranges::min(spec.unigram.scores) - 10;
  return spec;
}

TEST(Unigram, TakesThePathWithTheBestSum) {
  const OwnedTokenizer tokenizer(
      spec_of({{"a", -1}, {"b", -1}, {"ab", -2.5}, {"bc", -1.5}, {"c", -3}}));
  EXPECT_THAT(tokenizer.tokens("ab"), ElementsAre("a", "b"));    // -2 against -2.5
  EXPECT_THAT(tokenizer.tokens("abc"), ElementsAre("a", "bc"));  // -2.5, -5, -5.5
}

TEST(Unigram, KeepsThePathThatCameFirstWhereTwoScoreAlike) {
  const OwnedTokenizer tokenizer(spec_of({{"a", -1}, {"aa", -2}}));
  // To the second place: first "aa" from the beginning, then "a" after "a".
  EXPECT_THAT(tokenizer.tokens("aa"), ElementsAre("aa"));
  EXPECT_THAT(tokenizer.tokens("aaa"), ElementsAre("a", "aa"));
}

TEST(Unigram, MakesOneOfUnknownCharactersInARow) {
  const OwnedTokenizer tokenizer(spec_of({{"a", -1}}));
  EXPECT_THAT(tokenizer.tokens("xya\xC3\xA9za"), ElementsAre("<unk>", "a", "<unk>", "a"));
}

TEST(Unigram, TakesUnknownCharactersOnlyWhereNoPieceIsOne) {
  // "b" alone is no piece: unknown, at -12. With it "a" + "b" is -13, and "ab" is -20.
  const OwnedTokenizer tokenizer(spec_of({{"a", -1}, {"ab", -2}, {"abc", -30}, {"c", -1}}));
  EXPECT_THAT(tokenizer.tokens("abc"), ElementsAre("ab", "c"));
  EXPECT_THAT(tokenizer.tokens("cb"), ElementsAre("c", "<unk>"));
}

TEST(Unigram, SpellsUnknownCharactersInBytesWhereAllOfThemHavePieces) {
  model::TokenizerSpec spec = spec_of({{"a", -1}, {"<0xC3>", -5}, {"<0xA9>", -5}});
  spec.unigram.byte_fallback = true;
  EXPECT_THAT(OwnedTokenizer(spec).tokens("a\xC3\xA9"), ElementsAre("a", "<0xC3>", "<0xA9>"));
  EXPECT_THAT(OwnedTokenizer(spec).tokens("a\xC3\xA8"), ElementsAre("a", "<unk>"));
  spec.unigram.byte_fallback = false;
  EXPECT_THAT(OwnedTokenizer(spec).tokens("a\xC3\xA9"), ElementsAre("a", "<unk>"));
}

TEST(Unigram, PrependsToEachTextOrToTheFirst) {
  model::TokenizerSpec spec = spec_of({{"\u2581", -9}, {"a", -1}, {"\u2581a", -1}});
  spec.added_tokens = {{.id = 0, .content = "<unk>"}};
  const auto tokens_with = [&](model::Prepend prepend) {
    spec.unigram.prepend = prepend;
    return OwnedTokenizer(spec).tokens("a<unk>a");
  };
  EXPECT_THAT(tokens_with(model::Prepend::always), ElementsAre("\u2581a", "<unk>", "\u2581a"));
  EXPECT_THAT(tokens_with(model::Prepend::first), ElementsAre("\u2581a", "<unk>", "a"));
  EXPECT_THAT(tokens_with(model::Prepend::never), ElementsAre("a", "<unk>", "a"));
  spec.unigram.prepend = model::Prepend::first;
  EXPECT_THAT(OwnedTokenizer(spec).tokens("<unk>a"), ElementsAre("<unk>", "a"));
}

TEST(Unigram, GoesAcrossBlanksOnlyWhereItDoesNotSplitThere) {
  model::TokenizerSpec spec = spec_of({{"a", -1},
                                       {"\u2581", -1},
                                       {"a\u2581"
                                        "a",
                                        -1}});
  EXPECT_THAT(OwnedTokenizer(spec).tokens("a a"), ElementsAre("a", "\u2581", "a"));
  spec.unigram.split_metaspace = false;
  EXPECT_THAT(OwnedTokenizer(spec).tokens("a a"), ElementsAre("a\u2581"
                                                              "a"));
}

// ---- long texts: each of these takes minutes where time grows with the square of the length

TEST(UnigramLongText, OfOneWord) {
  constexpr size_t kMillion = 1'000'000;
  model::TokenizerSpec spec = spec_of({{"a", -1}, {"aa", -1.5}, {"\u2581", -3}});
  spec.unigram.replacements = {{"e\u0301", "\u00E9"}, {"\t", " "}};
  const OwnedTokenizer tokenizer(spec);
  EXPECT_EQ(tokenizer.encode(std::string(kMillion, 'a')).size(), kMillion / 2);
  EXPECT_EQ(tokenizer.encode(std::string(kMillion, '\t')).size(), kMillion);
  EXPECT_THAT(tokenizer.encode(std::string(kMillion, 'x')), ElementsAre(0));
  std::string marks = "e";
  for (size_t i = 0; i < kMillion; ++i) marks += "\u0301";
  EXPECT_THAT(tokenizer.encode(marks), ElementsAre(0)) << "one grapheme cluster";
}

// ---- the map

std::string map_of_starts() {
  std::ifstream file(golden_path("graphemes.map.txt"));
  std::string base64;
  file >> base64;
  return base64;
}

/// Each character of each block in each context, as the map makes it, end to end.
std::string normalized_block(const PrecompiledMap& map, uint32_t first) {
  // As in make_unigram.py, with C for the character.
  constexpr std::string_view kProbes[] = {"aC",
                                          "Ca",
                                          "\u0600C",
                                          "C\u0301\u0301",
                                          "\u00A9C\u200D\u00A9\u0301",
                                          "C\u200D\u00A9\u0301",
                                          "C\u1161\u0301",
                                          "C\u11A8\u0301",
                                          "\u1100C\u0301",
                                          "\u0915\u094DC\u0301",
                                          "C\u094D\u0915\u0301",
                                          "\u0915C\u0915\u0301",
                                          "\u0915\u094DC\u0915\u0301",
                                          "C\n",
                                          "\rC"};
  std::string out;
  for (uint32_t c = std::max(first, 1U); c < first + 0x1000; ++c) {
    if (c >= 0xE0200) break;
    if (c >= 0xD800 && c < 0xE000) continue;
    for (const std::string_view probe : kProbes) {
      const size_t at = probe.find('C');
      std::string text(probe.substr(0, at));
      append_utf8(c, text);
      text += probe.substr(at + 1);
      if (!out.empty()) out += '\n';
      map.normalize(text, out);
    }
  }
  return out;
}

TEST(PrecompiledMap, ReplacesShortGraphemeClustersAsTokenizersDoes) {
  const auto rules = read_precompiled_map(map_of_starts(), "map");
  ASSERT_TRUE(rules.ok()) << rules.status().message();
  const PrecompiledMapParts parts = build_precompiled_map(*rules);
  const PrecompiledMap map = parts.view();
  const std::vector<std::string> lines = golden_lines("graphemes.golden.txt");
  ASSERT_GT(lines.size(), 30U);
  for (const std::string& line : lines) {
    std::istringstream in(line);
    uint32_t first = 0;
    std::string hash;
    in >> std::hex >> first >> hash;
    const std::string found = normalized_block(map, first);
    EXPECT_EQ(sha256_hex(std::as_bytes(std::span(found))), hash) << std::hex << first;
  }
}

std::string normalized(std::vector<model::Replacement> rules, std::string_view text) {
  const PrecompiledMapParts parts = build_precompiled_map(rules);
  std::string out;
  parts.view().normalize(text, out);
  return out;
}

TEST(PrecompiledMap, TakesTheShortestRuleForAWholeCluster) {
  EXPECT_EQ(normalized({{"e", "1"}, {"e\u0301", "2"}}, "e\u0301f"), "1f");
  EXPECT_EQ(normalized({{"e\u0301", "2"}}, "e\u0301f e"), "2f e");
  // Seven bytes: character by character.
  EXPECT_EQ(normalized({{"e", "1"}, {"e\u0301", "2"}}, "e\u0301\u0301\u0301"),
            "1\u0301\u0301\u0301");
  EXPECT_EQ(normalized({{"\r\n", " "}, {"\n", "N"}}, "\r\n\n\r"), " N\r");
}

// ---- hostile tables

class DamagedUnigram : public testing::Test {
 protected:
  void open_and_use() const {
    const AlignedBuffer memory = aligned_copy(tables_);
    const auto tokenizer = Tokenizer::open({memory.data(), tables_.size()});
    if (!tokenizer.ok()) {
      EXPECT_EQ(tokenizer.status().code(), StatusCode::invalid_input);
      return;
    }
    std::vector<int32_t> ids;
    for (const std::string& text : texts_) tokenizer->encode(text, ids);
    for (const int32_t id : ids) {
      EXPECT_GE(id, 0);
      EXPECT_LT(id, tokenizer->vocabulary_size());
    }
  }

  std::vector<std::byte> tables_ = build_tables(golden_spec("unigram"));
  std::vector<std::string> texts_ = golden_lines("unigram.golden.jsonl");
};

TEST_F(DamagedUnigram, WithAnyBitOfTheHeaderTurned) {
  texts_.resize(20);
  for (size_t bit = 0; bit < kHeaderBytes * 8; ++bit) {
    const std::byte mask{static_cast<unsigned char>(1u << bit % 8)};
    tables_[bit / 8] ^= mask;
    open_and_use();
    tables_[bit / 8] ^= mask;
  }
}

TEST_F(DamagedUnigram, WithRandomBytes) {
  std::mt19937 random(7);
  const std::vector<std::byte> good = tables_;
  for (int round = 0; round < 300; ++round) {
    tables_ = good;
    for (int i = 0; i < 1 + round % 20; ++i) {
      tables_[kHeaderBytes + random() % (good.size() - kHeaderBytes)] = std::byte(random());
    }
    open_and_use();
  }
}

TEST(UnigramTables, AreTheSameBytesOnEveryMachine) {
  // Taken from a run on x86-64. A change here changes every artifact: raise the layout's number.
  EXPECT_EQ(sha256_hex(build_tables(golden_spec("xlm_roberta"))),
            "7cf6214e2f5ea02d766b1fbf5352d97caee7ad7b1fb13df4f532cb8f4503d192");
}

}  // namespace
}  // namespace tilewise::text
