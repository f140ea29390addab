#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/test_support.h"
#include "text/tokenizer.h"

namespace tilewise::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A whole file; the tests below replace parts of it.
constexpr std::string_view kGood = R"({
  "version": "1.0",
  "truncation": {"max_length": 2, "strategy": "LongestFirst", "stride": 0},
  "padding": {"strategy": {"Fixed": 128}, "direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
  "added_tokens": [
    {"id": 2, "content": "[SEP]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 6, "content": "<x>", "single_word": true, "lstrip": true, "rstrip": false, "normalized": true, "special": false}
  ],
  "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
  "pre_tokenizer": {"type": "BertPreTokenizer"},
  "post_processor": {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
    "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
             {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
             {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
    "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]},
                       "[SEP]": {"id": "[SEP]", "ids": [2], "tokens": ["[SEP]"]}}},
  "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
  "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
    "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "[PAD]": 3, "a": 4, "##b": 5}}
})";

std::string with(std::string_view old_part, std::string_view new_part) {
  std::string json(kGood);
  const size_t at = json.find(old_part);
  EXPECT_NE(at, std::string::npos) << old_part;
  return json.replace(at, old_part.size(), new_part);
}

Status status_of(const std::string& json) { return parse_tokenizer_json(json, "t.json").status(); }

TEST(TokenizerJson, IsReadInFull) {
  const auto spec = parse_tokenizer_json(kGood, "t.json");
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_THAT(spec->vocabulary, ElementsAre("[UNK]", "[CLS]", "[SEP]", "[PAD]", "a", "##b"));
  EXPECT_EQ(spec->unknown_id, 0);
  EXPECT_EQ(spec->cls_id, 1);
  EXPECT_EQ(spec->sep_id, 2);
  EXPECT_EQ(spec->pad_id, 3);
  EXPECT_TRUE(spec->clean_text && spec->separate_cjk && spec->lower_case && spec->strip_accents);
  EXPECT_EQ(spec->continuation_prefix, "##");
  EXPECT_EQ(spec->max_word_characters, 100);
  ASSERT_EQ(spec->added_tokens.size(), 2u);
  EXPECT_EQ(spec->added_tokens[0],
            (model::AddedToken{.id = 2, .content = "[SEP]", .special = true}));
  EXPECT_EQ(
      spec->added_tokens[1],
      (model::AddedToken{
          .id = 6, .content = "<x>", .normalized = true, .single_word = true, .left_strip = true}));
}

TEST(TokenizerJson, StripsAccentsAsItLowerCasesUnlessItSaysSo) {
  EXPECT_FALSE(
      parse_tokenizer_json(with("\"lowercase\": true", "\"lowercase\": false"), "")->strip_accents);
  EXPECT_TRUE(parse_tokenizer_json(with("\"strip_accents\": null, ", ""), "")->strip_accents);
  EXPECT_FALSE(parse_tokenizer_json(with("\"strip_accents\": null", "\"strip_accents\": false"), "")
                   ->strip_accents);
}

TEST(TokenizerJson, MayHaveBertProcessing) {
  const std::string json(kGood);
  const size_t begin = json.find("\"post_processor\""), end = json.find("\"decoder\"");
  const auto spec = parse_tokenizer_json(
      json.substr(0, begin) +
          R"("post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}, )" +
          json.substr(end),
      "t.json");
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(spec->cls_id, 1);
  EXPECT_EQ(spec->sep_id, 2);
}

TEST(TokenizerJson, MayHaveNoAddedTokensAndNoModelType) {
  EXPECT_TRUE(status_of(with("\"model\": {\"type\": \"WordPiece\", ", "\"model\": {")).ok());
  const std::string json(kGood);
  const size_t begin = json.find("\"added_tokens\""), end = json.find("\"normalizer\"");
  EXPECT_TRUE(status_of(json.substr(0, begin) + json.substr(end)).ok());
}

TEST(TokenizerJson, KeepsTheLastIdOfATokenThatIsThereTwice) {
  const auto moved =
      parse_tokenizer_json(with("\"a\": 4, \"##b\": 5", "\"a\": 4, \"##b\": 4999, \"##b\": 5"), "");
  ASSERT_TRUE(moved.ok()) << moved.status().message();
  EXPECT_EQ(moved->vocabulary[5], "##b");
  EXPECT_EQ(moved->vocabulary[4999], "");
}

/// A change to the good file, and what the message must say.
struct BadFile {
  const char* name;
  const char* old_part;
  const char* new_part;
  StatusCode code;
  const char* says;
};

class BadTokenizerJson : public testing::TestWithParam<BadFile> {};

TEST_P(BadTokenizerJson, IsRefused) {
  const Status status = status_of(with(GetParam().old_part, GetParam().new_part));
  EXPECT_EQ(status.code(), GetParam().code);
  EXPECT_THAT(status.message(), HasSubstr(GetParam().says));
  EXPECT_THAT(status.message(), HasSubstr("t.json"));
}

constexpr StatusCode kInvalid = StatusCode::invalid_input;
constexpr StatusCode kUnsupported = StatusCode::unsupported;

INSTANTIATE_TEST_SUITE_P(
    TokenizerJson, BadTokenizerJson,
    testing::Values(
        BadFile{"NotJson", "{", "", kInvalid, "not valid JSON"},
        BadFile{"Version", "\"1.0\"", "\"2.0\"", kUnsupported, "found 2.0"},
        BadFile{"OtherNormalizer", "BertNormalizer", "NFKC", kUnsupported,
                "normalizer; expected BertNormalizer; found NFKC"},
        BadFile{"NoNormalizer", "\"normalizer\"", "\"other\"", kUnsupported,
                "expected BertNormalizer; found nothing"},
        BadFile{"NormalizerWithoutFlag", "\"clean_text\": true, ", "", kInvalid,
                "normalizer.clean_text"},
        BadFile{"NormalizerFlagOfAnotherType", "\"lowercase\": true", "\"lowercase\": 1", kInvalid,
                "normalizer.lowercase"},
        BadFile{"OtherPreTokenizer", "BertPreTokenizer", "Whitespace", kUnsupported,
                "found Whitespace"},
        BadFile{"OtherModel", "\"type\": \"WordPiece\", \"unk", "\"type\": \"WordLevel\", \"unk",
                kUnsupported, "found WordLevel"},
        BadFile{"NoModel", "\"model\"", "\"other\"", kInvalid, "model"},
        BadFile{"NoUnknownToken", "\"unk_token\": \"[UNK]\", ", "", kInvalid, "model.unk_token"},
        BadFile{"UnknownTokenNotInVocabulary", "\"unk_token\": \"[UNK]\"", "\"unk_token\": \"unk\"",
                kInvalid, "\"unk\""},
        BadFile{"NoPrefix", "\"continuing_subword_prefix\": \"##\", ", "", kInvalid,
                "model.continuing_subword_prefix"},
        BadFile{"NegativeLength", "\"max_input_chars_per_word\": 100",
                "\"max_input_chars_per_word\": -1", kInvalid, "-1"},
        BadFile{"NegativeId", "\"a\": 4", "\"a\": -4", kInvalid, "-4"},
        BadFile{"HugeId", "\"a\": 4", "\"a\": 4000000000", kInvalid, "4000000000"},
        BadFile{"IdThatIsNoNumber", "\"a\": 4", "\"a\": \"4\"", kInvalid, "\"a\""},
        BadFile{"IdThatIsNoInteger", "\"a\": 4", "\"a\": 4.5", kInvalid, "\"a\""},
        BadFile{"OneIdForTwoTokens", "\"a\": 4", "\"a\": 5", kInvalid, "same id"},
        BadFile{"AddedTokenOfAnotherId", "{\"id\": 2, ", "{\"id\": 3, ", kInvalid,
                "expected 2, its id in the vocabulary; found 3"},
        BadFile{"AddedTokenBeyondTheNextId", "{\"id\": 6, ", "{\"id\": 9, ", kInvalid,
                "expected 6, the next free id; found 9"},
        BadFile{"AddedTokenInAHoleOfTheVocabulary", "\"a\": 4", "\"a\": 6", kInvalid,
                "6, the id of \"a\""},
        BadFile{"AddedTokenWithoutFlag", "\"lstrip\": true, ", "", kInvalid,
                "added_tokens[1].lstrip"},
        BadFile{"AddedTokenTwice", "\"<x>\"", "\"[SEP]\"", kInvalid, "twice"},
        BadFile{"AddedTokenEmpty", "\"<x>\"", "\"\"", kInvalid, "empty"},
        BadFile{"AddedTokenThatVanishes", "\"<x>\"", "\"\\u0301\"", kUnsupported, "vanishes"},
        BadFile{"AddedTokenNotAnObject", "{\"id\": 2, ", "7, {\"id\": 2, ", kInvalid,
                "added_tokens[0]"},
        BadFile{"NoPostProcessor", "\"post_processor\"", "\"other\"", kUnsupported,
                "post_processor"},
        BadFile{"OtherPostProcessor", "TemplateProcessing", "ByteLevel", kUnsupported,
                "found ByteLevel"},
        BadFile{"OtherTypes", "\"B\", \"type_id\": 1", "\"B\", \"type_id\": 0", kUnsupported,
                "B:0"},
        BadFile{"OtherTemplate",
                "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}},\n               ", "",
                kUnsupported, "template"},
        BadFile{"SpecialTokenOfTwoIds", "\"ids\": [1]", "\"ids\": [1, 2]", kInvalid, "[CLS].ids"},
        BadFile{"SpecialTokenOutside", "\"ids\": [1]", "\"ids\": [7]", kInvalid,
                "expected an id below 7; found 7"}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(TokenizerJson, CutOffAnywhereIsRefused) {
  for (size_t size = 0; size + 1 < kGood.size(); ++size) {
    EXPECT_FALSE(status_of(std::string(kGood.substr(0, size))).ok()) << size;
  }
}

TEST(TokenizerJson, HoldsAnObject) {
  EXPECT_THAT(status_of("[1]").message(), HasSubstr("no JSON object"));
}

}  // namespace
}  // namespace tilewise::text
