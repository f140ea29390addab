// Byte BPE against Hugging Face `tokenizers` (tests/data/text/make_byte_bpe.py).
#include "text/byte_bpe.h"

#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>
#include <utf8proc.h>

#include "base/sha256.h"
#include "text/decoder.h"
#include "text/input.h"
#include "text/test_support.h"
#include "text/utf8.h"

namespace tilewise::text {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<int32_t> ids_of(simdjson::dom::element element) {
  std::vector<int32_t> ids;
  for (const simdjson::dom::element id : element.get_array()) {
    ids.push_back(static_cast<int32_t>(id.get_int64()));
  }
  return ids;
}

class ByteBpeGolden : public testing::TestWithParam<const char*> {
 protected:
  /// Calls check(row) for each line of a golden file.
  static void for_each_row(const std::string& name,
                           const std::function<void(simdjson::dom::element)>& check) {
    simdjson::dom::parser parser;
    const std::vector<std::string> lines = golden_lines(name);
    ASSERT_GT(lines.size(), 100U);
    for (const std::string& line : lines) {
      simdjson::dom::element row;
      ASSERT_EQ(parser.parse(line).get(row), simdjson::SUCCESS) << line;
      check(row);
    }
  }
};

TEST_P(ByteBpeGolden, GivesTheIdsOfTokenizersAndTheirText) {
  const OwnedTokenizer tokenizer(golden_spec(GetParam()));
  for_each_row("byte_bpe.golden.jsonl", [&](simdjson::dom::element row) {
    const std::string text{std::string_view(row["text"])};
    const std::vector<int32_t> expected = ids_of(row[GetParam()]["ids"]);
    EXPECT_EQ(tokenizer.encode(text), expected) << text;
    EXPECT_EQ(decode(*tokenizer, expected, false), std::string_view(row[GetParam()]["text"]));
  });
}

TEST_P(ByteBpeGolden, FramesAndCutsPairsLikeTokenizers) {
  const OwnedTokenizer tokenizer(golden_spec(GetParam()));
  InputEncoder encoder(*tokenizer);
  for_each_row("byte_bpe_pairs.golden.jsonl", [&](simdjson::dom::element row) {
    model::Task task;
    task.input = model::InputKind::pair;
    task.max_tokens = static_cast<int32_t>(row["max_tokens"].get_int64());
    task.truncation =
        model::parse_name<model::Truncation>(std::string(std::string_view(row["strategy"])))
            .value();
    const model::PairInput pair{std::string(std::string_view(row["left"])),
                                std::string(std::string_view(row["right"]))};
    PackedTokens tokens;
    const Status status = encoder.append(task, pair, tokens);
    const simdjson::dom::element expected = row[GetParam()];
    EXPECT_EQ(status.ok(), expected.is_array()) << simdjson::minify(row);
    if (!status.ok() || !expected.is_array()) return;
    EXPECT_EQ(tokens.ids, ids_of(expected.at(0))) << simdjson::minify(row);
    EXPECT_EQ(tokens.types, ids_of(expected.at(1))) << simdjson::minify(row);
  });
}

INSTANTIATE_TEST_SUITE_P(ByteBpe, ByteBpeGolden,
                         testing::Values("roberta", "modernbert", "unknown"),
                         [](const auto& param) { return std::string(param.param); });

// ---- every character

/// The tables of a spec, and the model that lies in them.
class OwnedModel {
 public:
  explicit OwnedModel(const model::TokenizerSpec& spec) {
    const std::vector<std::byte> tables = build_tables(spec);
    memory_ = aligned_copy(tables);
    const auto reader = BlockReader::open({memory_.data(), tables.size()});
    model_ = ByteBpe::open(reader.value()).value();
  }
  const ByteBpe* operator->() const { return &model_; }

 private:
  AlignedBuffer memory_;
  ByteBpe model_;
};

/// The lengths of a text's words, in characters.
std::string word_lengths(const ByteWords& words, const std::string& text) {
  const char* const end = text.data() + text.size();
  std::string lengths;
  for (const char* p = text.data(); p != end;) {
    const char* const word_end = words.end_of_word(p, end);
    int characters = 0;
    for (; p != word_end; p += decode(p).length) ++characters;
    lengths += (lengths.empty() ? "" : " ") + std::to_string(characters);
  }
  return lengths;
}

/// SHA-256 over one line for each code point of a block.
std::string hash_block(uint32_t first, const std::function<std::string(const std::string&)>& line) {
  std::string all;
  for (uint32_t c = first; c < first + 0x8000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string character;
    append_utf8(c, character);
    if (c != first) all += '\n';
    all += line(character);
  }
  return sha256_hex(std::as_bytes(std::span(all)));
}

TEST(ByteBpe, CutsAndComposesEveryCharacterLikeTokenizers) {
  const OwnedModel model(golden_spec("modernbert"));
  int blocks = 0;
  for (const std::string& row : golden_lines("byte_bpe_characters.golden.txt")) {
    std::istringstream fields(row);
    std::string first, column, expected;
    fields >> first >> column >> expected;
    const auto line = [&](const std::string& c) {
      if (column == "words") {
        return word_lengths(model->words, "x" + c + "1" + c + "!" + c + " " + c + c);
      }
      Nfc::Buffer buffer;
      return std::string(model->nfc->normalize("e" + c + c + "\xCC\xA3\xCC\x81", buffer));
    };
    EXPECT_EQ(hash_block(static_cast<uint32_t>(std::stoul(first, nullptr, 16)), line), expected)
        << row;
    ++blocks;
  }
  EXPECT_EQ(blocks, 2 * 34);
}

TEST(ByteBpe, OrdersRunsOfMarksOfAnyLengthLikeUtf8proc) {
  constexpr uint32_t kMarks[] = {0x301, 0x323, 0x327, 0x345, 0x300, 0x5B0, 0x334};
  const OwnedModel model(golden_spec("modernbert"));
  std::mt19937 random(5);
  for (const int length : {2, 3, 15, 16, 17, 40, 300}) {
    std::string text = "x";
    for (int i = 0; i < length; ++i) append_utf8(kMarks[random() % std::size(kMarks)], text);
    Nfc::Buffer buffer;
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> expected(
        utf8proc_NFC(reinterpret_cast<const utf8proc_uint8_t*>(text.c_str())), &std::free);
    EXPECT_EQ(model->nfc->normalize(text, buffer), reinterpret_cast<const char*>(expected.get()))
        << length;
  }
}

// ---- by hand

/// The letters a to h as tokens 0 to 7, then what the merges make.
model::TokenizerSpec letters_spec(const std::vector<std::string>& merges) {
  model::TokenizerSpec spec;
  spec.model = model::TokenizerModel::byte_bpe;
  for (char letter = 'a'; letter <= 'h'; ++letter) spec.vocabulary.emplace_back(1, letter);
  const auto id_of = [&](const std::string& token) {
    const auto it = std::ranges::find(spec.vocabulary, token);
    return static_cast<int32_t>(it - spec.vocabulary.begin());
  };
  for (const std::string& merge : merges) {
    const std::string left = merge.substr(0, merge.find(' '));
    const std::string right = merge.substr(merge.find(' ') + 1);
    if (std::ranges::count(spec.vocabulary, left + right) == 0) {
      spec.vocabulary.push_back(left + right);
    }
    spec.merges.push_back({id_of(left), id_of(right), id_of(left + right)});
  }
  return spec;
}

TEST(ByteBpe, MergesInTheOrderOfTheMergesAndFromTheLeft) {
  const OwnedTokenizer tokenizer(letters_spec({"b c", "a b", "bc d", "a a"}));
  EXPECT_THAT(tokenizer.tokens("abcd"), ElementsAre("a", "bcd"));
  EXPECT_THAT(tokenizer.tokens("abd"), ElementsAre("ab", "d"));
  EXPECT_THAT(tokenizer.tokens("aaa"), ElementsAre("aa", "a"));
  EXPECT_THAT(tokenizer.tokens("aaab"), ElementsAre("aa", "ab"));
}

TEST(ByteBpe, TakesATokenThatNoMergeMakesOnlyWhenItIgnoresThem) {
  model::TokenizerSpec spec = letters_spec({"a b"});
  spec.vocabulary.emplace_back("abc");
  EXPECT_THAT(OwnedTokenizer(spec).tokens("abc"), ElementsAre("ab", "c"));
  spec.ignore_merges = true;
  EXPECT_THAT(OwnedTokenizer(spec).tokens("abc"), ElementsAre("abc"));
}

TEST(ByteBpe, DropsBytesWithoutATokenOrSaysSo) {
  model::TokenizerSpec spec = letters_spec({"a b"});
  EXPECT_THAT(OwnedTokenizer(spec).tokens("axyb"), ElementsAre("ab")) << "now they are neighbours";
  spec.vocabulary.emplace_back("<unk>");
  spec.unknown_byte_id = static_cast<int32_t>(spec.vocabulary.size()) - 1;
  EXPECT_THAT(OwnedTokenizer(spec).tokens("axyb"), ElementsAre("a", "<unk>", "<unk>", "b"));
  spec.fuse_unknown = true;
  EXPECT_THAT(OwnedTokenizer(spec).tokens("axyb"), ElementsAre("a", "<unk>", "b"));
}

TEST(ByteBpe, PutsABlankBeforeEachTextBetweenAddedTokens) {
  model::TokenizerSpec spec = letters_spec({});
  spec.vocabulary.emplace_back("\xC4\xA0");
  spec.add_prefix_space = true;
  model::AddedToken token;
  token.id = static_cast<int32_t>(spec.vocabulary.size());
  token.content = "|";
  spec.added_tokens.push_back(token);
  const OwnedTokenizer tokenizer(spec);
  EXPECT_THAT(tokenizer.tokens("a|b| c"),
              ElementsAre("\xC4\xA0", "a", "|", "\xC4\xA0", "b", "|", "\xC4\xA0", "c"));
  EXPECT_THAT(tokenizer.encode(""), IsEmpty());
}

TEST(ByteBpe, DecodesWithoutSpecialTokens) {
  const OwnedTokenizer tokenizer(golden_spec("roberta"));
  const std::vector<int32_t> ids = tokenizer.encode("<s>the <mask> caf\xC3\xA9</s>");
  EXPECT_EQ(decode(*tokenizer, ids, true), "the caf\xC3\xA9") << "<mask> swallows its blank";
  EXPECT_EQ(decode(*tokenizer, std::vector<int32_t>{-1, 1 << 30}, false), "");
}

// Short and long words are merged in different ways. The reference merges one pair after the other.
std::vector<int32_t> merged_slowly(const model::TokenizerSpec& spec, std::vector<int32_t> ids) {
  for (bool again = true; again;) {
    again = false;
    for (const model::Merge& merge : spec.merges) {
      for (size_t i = 0; i + 1 < ids.size() && !again; ++i) {
        if (ids[i] != merge.left || ids[i + 1] != merge.right) continue;
        ids[i] = merge.merged;
        ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        again = true;
      }
      if (again) break;
    }
  }
  return ids;
}

TEST(ByteBpe, MergesWordsOfEveryLengthAlike) {
  const model::TokenizerSpec spec =
      letters_spec({"a b", "b a", "a a", "ab a", "aa b", "c d", "ab ab", "d c", "cd c", "aa aa",
                    "b b", "abab ab"});
  const BytePairParts parts(spec.merges);
  PairMerger merger(parts.table());
  std::mt19937 random(3);
  for (size_t length = 1; length < 120; ++length) {
    std::vector<int32_t> ids(length);
    for (int32_t& id : ids) id = static_cast<int32_t>(random() % 4);
    const std::vector<int32_t> expected = merged_slowly(spec, ids);
    ids.resize(merger.merge(ids.data(), ids.size()));
    EXPECT_EQ(ids, expected) << length;
  }
}

TEST(ByteBpe, TakesAMillionLettersWithoutABlank) {
  const OwnedTokenizer tokenizer(letters_spec({"a a", "aa aa", "a b"}));
  EXPECT_EQ(tokenizer.encode(std::string(1'000'000, 'a')).size(), 250'000U);
  EXPECT_EQ(tokenizer.encode(std::string(1'000'000, ' ')).size(), 0U) << "no token spells a blank";
}

TEST(ByteBpe, TakesAMillionMarksThatMustBePutInOrder) {
  const OwnedTokenizer tokenizer(golden_spec("modernbert"));
  std::string marks = "e";
  for (int i = 0; i < 300'000; ++i) marks += "\xCC\x81\xCC\xA3";
  EXPECT_GT(tokenizer.encode(marks).size(), 100'000U);
}

// ---- the tables

TEST(ByteBpeTables, AreTheSameBytesOnEveryMachine) {
  const auto hash_of = [](const char* name) { return sha256_hex(build_tables(golden_spec(name))); };
  // Taken from a run on x86-64. A change here changes artifacts: raise their format version.
  EXPECT_EQ(hash_of("roberta"), "b50772575c78e58ad0bb85bb2125144a5718d90f87e96c02767fe40d7ba0ed4a");
  EXPECT_EQ(hash_of("modernbert"),
            "f12efbed2494cda060798c34cabc4ceaac529f67af761dbb6978b3c4dbd838f7");
}

class DamagedByteBpeTables : public testing::TestWithParam<const char*> {
 protected:
  void open_and_use(size_t size) {
    const AlignedBuffer memory = aligned_copy(std::span(tables_).first(size));
    const auto tokenizer = Tokenizer::open({memory.data(), size});
    if (!tokenizer.ok()) return;
    std::vector<int32_t> ids;
    tokenizer->encode("caf\xC3\xA9 e\xCC\x81\xCC\xA3 it's 12 \xEA\xB0\x80\xE1\x86\xA8  <mask>   x",
                      ids);
    tokenizer->encode(std::string(200, 'a'), ids);
    for (const int32_t id : ids) EXPECT_LT(id, tokenizer->vocabulary_size());
    for (const int32_t id : ids) EXPECT_GE(id, 0);
  }

  std::vector<std::byte> tables_ = build_tables(golden_spec(GetParam()));
};

TEST_P(DamagedByteBpeTables, CutOffAnywhere) {
  for (size_t size = 0; size < 512; ++size) open_and_use(size);
  for (size_t size = 512; size < tables_.size(); size += 997) open_and_use(size);
}

TEST_P(DamagedByteBpeTables, WithAnyBitOfTheHeaderTurned) {
  for (size_t bit = 0; bit < sizeof(TablesHeader) * 8; ++bit) {
    const std::byte mask{static_cast<unsigned char>(1u << bit % 8)};
    tables_[bit / 8] ^= mask;
    open_and_use(tables_.size());
    tables_[bit / 8] ^= mask;
  }
}

TEST_P(DamagedByteBpeTables, WithRandomBytes) {
  std::mt19937 random(11);
  const std::vector<std::byte> good = tables_;
  for (int round = 0; round < 200; ++round) {
    tables_ = good;
    for (int i = 0; i < 1 + round % 20; ++i) {
      tables_[sizeof(TablesHeader) + random() % (good.size() - sizeof(TablesHeader))] =
          std::byte(random());
    }
    open_and_use(tables_.size());
  }
}

INSTANTIATE_TEST_SUITE_P(ByteBpe, DamagedByteBpeTables, testing::Values("roberta", "modernbert"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace tilewise::text
