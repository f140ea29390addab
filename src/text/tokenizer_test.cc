#include "text/tokenizer.h"

#include <algorithm>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include "base/sha256.h"
#include "text/test_support.h"

namespace tilewise::text {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// ---- the torture file

struct TortureRow {
  std::string about;
  std::string text;
};

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

std::vector<TortureRow> torture_rows() {
  std::vector<TortureRow> rows;
  simdjson::dom::parser parser;
  for (const std::string& line : golden_lines("torture.jsonl")) {
    simdjson::dom::element row;
    EXPECT_EQ(parser.parse(line).get(row), simdjson::SUCCESS) << line;
    std::string_view about, text, hex;
    EXPECT_EQ(row["about"].get(about), simdjson::SUCCESS) << line;
    if (row["hex"].get(hex) == simdjson::SUCCESS) {
      rows.push_back({std::string(about), from_hex(hex)});
    } else {
      EXPECT_EQ(row["text"].get(text), simdjson::SUCCESS) << line;
      rows.push_back({std::string(about), std::string(text)});
    }
  }
  return rows;
}

std::vector<std::vector<int32_t>> golden_ids(const std::string& tokenizer) {
  std::vector<std::vector<int32_t>> all;
  simdjson::dom::parser parser;
  for (const std::string& line : golden_lines("torture.golden.jsonl")) {
    simdjson::dom::array array;
    EXPECT_EQ(parser.parse(line)[tokenizer].get(array), simdjson::SUCCESS) << line;
    std::vector<int32_t>& ids = all.emplace_back();
    for (const simdjson::dom::element id : array)
      ids.push_back(static_cast<int32_t>(id.get_int64().value()));
  }
  return all;
}

class Torture : public testing::TestWithParam<const char*> {};

TEST_P(Torture, GivesTheIdsOfTokenizers) {
  const OwnedTokenizer tokenizer(golden_spec(GetParam()));
  const std::vector<TortureRow> rows = torture_rows();
  const std::vector<std::vector<int32_t>> expected = golden_ids(GetParam());
  ASSERT_GT(rows.size(), 70u);
  ASSERT_EQ(rows.size(), expected.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(tokenizer.encode(rows[i].text), expected[i]) << rows[i].about;
  }
}

INSTANTIATE_TEST_SUITE_P(Tokenizer, Torture,
                         testing::Values("uncased", "cased", "accents", "raw", "added"),
                         [](const auto& param) { return std::string(param.param); });

// ---- by hand

TEST(Tokenizer, TakesTheLongestPieceFirst) {
  const OwnedTokenizer tokenizer(small_spec({"un", "una", "##ff", "##aff", "##able"}));
  EXPECT_THAT(tokenizer.tokens("unaffable"), ElementsAre("una", "##ff", "##able"));
}

TEST(Tokenizer, MakesAWordUnknownWhenItsRestIs) {
  const OwnedTokenizer tokenizer(small_spec({"foo", "bar", "##b"}));
  EXPECT_THAT(tokenizer.tokens("foo foobar bar"), ElementsAre("foo", "[UNK]", "bar"));
}

TEST(Tokenizer, AppendsToTheIdsThatAreThere) {
  const OwnedTokenizer tokenizer(small_spec({"a"}));
  std::vector<int32_t> ids = {42};
  tokenizer->encode("a zz", ids);
  EXPECT_THAT(ids, ElementsAre(42, 5, 1));
}

TEST(Tokenizer, DoesNotTakeAContinuationForAWord) {
  const OwnedTokenizer tokenizer(small_spec({"a", "##b"}));
  EXPECT_THAT(tokenizer.tokens("b ##b"), ElementsAre("[UNK]", "[UNK]", "[UNK]", "[UNK]"));
}

TEST(Tokenizer, LetsNoContinuationBeEmpty) {
  const OwnedTokenizer tokenizer(small_spec({"a", "##", ""}));
  EXPECT_THAT(tokenizer.tokens("a ab"), ElementsAre("a", "[UNK]"));
}

TEST(Tokenizer, TakesAnyTokenAsContinuationWhenThereIsNoPrefix) {
  model::TokenizerSpec spec = small_spec({"ab", "c"});
  spec.continuation_prefix.clear();
  EXPECT_THAT(OwnedTokenizer(spec).tokens("abcab"), ElementsAre("ab", "c", "ab"));
}

TEST(Tokenizer, HasNoWordsWhereNoCharacterIsAllowed) {
  model::TokenizerSpec spec = small_spec({"a", "!"});
  spec.max_word_characters = 0;
  EXPECT_THAT(OwnedTokenizer(spec).tokens("a !"), ElementsAre("[UNK]", "[UNK]"));
}

TEST(Tokenizer, TellsItsSpecialTokensAndTexts) {
  const OwnedTokenizer tokenizer(small_spec({"a", "", "##b"}));
  EXPECT_EQ(tokenizer->cls_id(), 2);
  EXPECT_EQ(tokenizer->sep_id(), 3);
  EXPECT_EQ(tokenizer->pad_id(), 0);
  EXPECT_EQ(tokenizer->vocabulary_size(), 8);
  EXPECT_EQ(tokenizer->token(5), "a");
  EXPECT_EQ(tokenizer->token(6), "");
  EXPECT_EQ(tokenizer->token(7), "##b");
  EXPECT_EQ(tokenizer->token(8), "");
  EXPECT_EQ(tokenizer->token(-1), "");
}

TEST(Tokenizer, NumbersAddedTokensBeyondTheVocabulary) {
  model::TokenizerSpec spec = small_spec({"a"});
  spec.added_tokens.push_back({.id = 6, .content = "<x>"});
  const OwnedTokenizer tokenizer(spec);
  EXPECT_EQ(tokenizer->vocabulary_size(), 7);
  EXPECT_EQ(tokenizer->token(6), "<x>");
  EXPECT_THAT(tokenizer.encode("a<x>"), ElementsAre(5, 6));
}

// ---- long texts: each of these takes minutes where time grows with the square of the length

constexpr size_t kMillion = 1'000'000;

std::string repeated(std::string_view text, size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST(LongText, OfOneWord) {
  const OwnedTokenizer tokenizer(small_spec({"a", "##a"}));
  EXPECT_THAT(tokenizer.encode(std::string(kMillion, 'a')), ElementsAre(1));
  EXPECT_THAT(tokenizer.encode(repeated("\xC3\xA9", kMillion)), ElementsAre(1));
  EXPECT_THAT(tokenizer.encode(repeated("\xEA\xB0\x81", kMillion)), ElementsAre(1)) << "Hangul";
}

TEST(LongText, OfOneWordWithoutALimit) {
  model::TokenizerSpec spec = small_spec({"a", "##a", "##aa"});
  spec.max_word_characters = 2'000'000;
  EXPECT_EQ(OwnedTokenizer(spec).encode(std::string(kMillion + 1, 'a')).size(), 1 + kMillion / 2);
}

TEST(LongText, OfWords) {
  const OwnedTokenizer tokenizer(small_spec({"a", "!", "\xE4\xB8\xAD"}));
  EXPECT_EQ(tokenizer.encode(repeated("a ", kMillion)).size(), kMillion);
  EXPECT_EQ(tokenizer.encode(repeated("!", kMillion)).size(), kMillion);
  EXPECT_EQ(tokenizer.encode(repeated("\xE4\xB8\xAD", kMillion)).size(), kMillion);
}

TEST(LongText, OfNothing) {
  const OwnedTokenizer tokenizer(small_spec({"a"}));
  EXPECT_THAT(tokenizer.encode(std::string(kMillion, ' ')), IsEmpty());
  EXPECT_THAT(tokenizer.encode(std::string(kMillion, '\x01')), IsEmpty());
  EXPECT_THAT(tokenizer.encode(repeated("\xCC\x81", kMillion)), IsEmpty()) << "accents";
  EXPECT_THAT(tokenizer.encode(std::string(kMillion, '\xFF')), IsEmpty()) << "invalid UTF-8";
}

TEST(LongText, OfMarksThatMustBePutInOrder) {
  model::TokenizerSpec spec = small_spec({"a"});
  const std::string marks =
      repeated("\xE3\x80\xAE\xE1\xAD\x84", kMillion / 2);  // classes 224 and 9
  EXPECT_THAT(OwnedTokenizer(spec).encode("a" + marks), ElementsAre(1));
}

TEST(LongText, OfSpecialTokens) {
  model::TokenizerSpec spec = small_spec({"a"});
  for (model::AddedToken& token : spec.added_tokens) token.left_strip = token.right_strip = true;
  EXPECT_EQ(OwnedTokenizer(spec).encode(repeated("[SEP]   ", kMillion / 8)).size(), kMillion / 8);
  EXPECT_THAT(OwnedTokenizer(spec).tokens("a[" + std::string(kMillion, ' ') + "[SEP]"),
              ElementsAre("a", "[UNK]", "[SEP]"));
}

// ---- sharing

TEST(Tokenizer, IsSharedByThreads) {
  const OwnedTokenizer tokenizer(golden_spec("added"));
  const std::vector<TortureRow> rows = torture_rows();
  const std::vector<std::vector<int32_t>> expected = golden_ids("added");
  std::vector<std::thread> threads;
  threads.reserve(4);
  std::vector<int> wrong(4, 0);
  for (int& count : wrong) {
    threads.emplace_back([&, copy = *tokenizer] {
      std::vector<int32_t> ids;
      for (size_t i = 0; i < rows.size(); ++i) {
        ids.clear();
        copy.encode(rows[i].text, ids);
        count += ids != expected[i];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ElementsAre(0, 0, 0, 0));
}

// ---- the tables

TEST(Tables, AreTheSameBytesOnEveryMachine) {
  const auto hash_of = [](const char* name) { return sha256_hex(build_tables(golden_spec(name))); };
  // Taken from a run on x86-64. A change here changes every artifact: raise its format version.
  EXPECT_EQ(hash_of("uncased"), "a43fc85034301e767fdc6cdf23bdfe33b9beb919b6f1a3ed12863e2fd09a9389");
  EXPECT_EQ(hash_of("added"), "a86fd393f357e7bdeb5003ab2b115ba7826c6a8d9346be64c558995c65dfe01e");
}

class DamagedTables : public testing::Test {
 protected:
  /// Opens the tables as they are now; when that works, no text may make the tokenizer read outside
  /// them (which the sanitizers see).
  bool open_and_use(size_t size) {
    const AlignedBuffer memory = aligned_copy(std::span(tables_).first(size));
    const auto tokenizer = Tokenizer::open({memory.data(), size});
    if (!tokenizer.ok()) {
      EXPECT_EQ(tokenizer.status().code(), StatusCode::invalid_input);
      return false;
    }
    std::vector<int32_t> ids;
    for (const TortureRow& row : rows_) tokenizer->encode(row.text, ids);
    for (const int32_t id : ids) EXPECT_LT(id, tokenizer->vocabulary_size());
    for (int32_t id = -1; id <= tokenizer->vocabulary_size(); ++id) tokenizer->token(id);
    return true;
  }

  std::vector<std::byte> tables_ = build_tables(golden_spec("added"));
  std::vector<TortureRow> rows_ = torture_rows();
};

TEST_F(DamagedTables, AreFineBefore) { EXPECT_TRUE(open_and_use(tables_.size())); }

TEST_F(DamagedTables, CutOffAnywhere) {
  for (size_t size = 0; size < 512; ++size) EXPECT_FALSE(open_and_use(size)) << size;
  for (size_t size = 512; size < tables_.size(); size += 997)
    EXPECT_FALSE(open_and_use(size)) << size;
}

TEST_F(DamagedTables, NotAligned) {
  const AlignedBuffer memory = AlignedBuffer::allocate(tables_.size() + 8).value();
  std::copy(tables_.begin(), tables_.end(), memory.data() + 8);
  EXPECT_FALSE(Tokenizer::open({memory.data() + 8, tables_.size()}).ok());
}

TEST_F(DamagedTables, WithAnyBitOfTheHeaderTurned) {
  for (size_t bit = 0; bit < size_t{176} * 8; ++bit) {
    const std::byte mask{static_cast<unsigned char>(1u << bit % 8)};
    tables_[bit / 8] ^= mask;
    open_and_use(tables_.size());
    tables_[bit / 8] ^= mask;
  }
}

TEST_F(DamagedTables, WithRandomBytes) {
  std::mt19937 random(11);
  const std::vector<std::byte> good = tables_;
  for (int round = 0; round < 300; ++round) {
    tables_ = good;
    for (int i = 0; i < 1 + round % 20; ++i)
      tables_[176 + random() % (good.size() - 176)] = std::byte(random());
    open_and_use(tables_.size());
  }
}

}  // namespace
}  // namespace tilewise::text
