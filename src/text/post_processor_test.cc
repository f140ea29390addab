// What each kind of post-processor puts around texts, and which are refused.
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/test_support.h"
#include "text/tokenizer.h"

namespace tilewise::text {
namespace {

using model::TokenizerSpec;
using testing::HasSubstr;

/// A byte BPE or WordPiece tokenizer of three special tokens with a post-processor.
Result<TokenizerSpec> read(const std::string& processor, bool is_wordpiece = false) {
  const std::string byte_bpe =
      R"("pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
         "model": {"type": "BPE", "merges": [], "vocab": {"<s>": 0, "</s>": 1, "<pad>": 2}},)";
  const std::string wordpiece =
      R"("normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "lowercase": true},
         "pre_tokenizer": {"type": "BertPreTokenizer"},
         "model": {"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 100, "vocab": {"<s>": 0, "</s>": 1, "<pad>": 2, "<unk>": 3}},)";
  return parse_tokenizer_json(
      "{" + (is_wordpiece ? wordpiece : byte_bpe) + R"("post_processor": )" + processor + "}",
      "t.json");
}

/// "A:0" and "</s>:1" as pieces of a template.
std::string pieces(const std::string& short_form) {
  std::string json = "[";
  std::istringstream words(short_form);
  for (std::string word; words >> word;) {
    const size_t colon = word.rfind(':');
    const std::string id = word.substr(0, colon);
    const std::string kind = id == "A" || id == "B" ? "Sequence" : "SpecialToken";
    json += (json.size() > 1 ? ", " : "") + ("{\"" + kind) + R"(": {"id": ")" + id +
            R"(", "type_id": )" + word.substr(colon + 1) + "}}";
  }
  return json + "]";
}

std::string processor(const std::string& single, const std::string& pair) {
  return R"({"type": "TemplateProcessing", "single": )" + pieces(single) + R"(, "pair": )" +
         pieces(pair) +
         R"(, "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]},
                                 "</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}})";
}

constexpr const char* kRoberta =
    R"({"type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0], "trim_offsets": true,
        "add_prefix_space": false})";
constexpr const char* kByteLevel = R"({"type": "ByteLevel", "add_prefix_space": true})";

void expect_frame(const std::string& processor_json, int32_t separators, int32_t second_type,
                  bool is_wordpiece = false) {
  const auto spec = read(processor_json, is_wordpiece);
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(spec->cls_id, 0);
  EXPECT_EQ(spec->sep_id, 1);
  EXPECT_EQ(spec->pad_id, 2);
  EXPECT_EQ(spec->pair_separators, separators);
  EXPECT_EQ(spec->second_type, second_type);
}

std::string refusal(const std::string& processor_json, bool is_wordpiece = false) {
  const auto spec = read(processor_json, is_wordpiece);
  EXPECT_EQ(spec.status().code(), StatusCode::unsupported) << spec.status().message();
  return spec.status().message();
}

TEST(PostProcessor, OfRobertaHasTwoSeparatorsAndOneType) {
  expect_frame(kRoberta, 2, 0);
  expect_frame(kRoberta, 2, 0, true);
}

TEST(PostProcessor, OfBertHasOneSeparatorAndTwoTypes) {
  expect_frame(R"({"type": "BertProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0]})", 1, 1);
}

TEST(PostProcessor, MayBeATemplateOfEitherFrame) {
  const std::string single = "<s>:0 A:0 </s>:0";
  expect_frame(processor(single, "<s>:0 A:0 </s>:0 B:1 </s>:1"), 1, 1);
  expect_frame(processor(single, "<s>:0 A:0 </s>:0 B:0 </s>:0"), 1, 0);
  expect_frame(processor(single, "<s>:0 A:0 </s>:0 </s>:0 B:0 </s>:0"), 2, 0);
  expect_frame(processor(single, "<s>:0 A:0 </s>:0 </s>:0 B:1 </s>:1"), 2, 1, true);
}

TEST(PostProcessor, MayStandInASequenceWithByteLevel) {
  const auto sequence = [](const std::string& inner) {
    return R"({"type": "Sequence", "processors": [)" + inner + "]}";
  };
  expect_frame(sequence(std::string(kByteLevel) + ", " + kRoberta), 2, 0);
  EXPECT_THAT(refusal(sequence(kByteLevel)), HasSubstr("a sequence of 0"));
  EXPECT_THAT(refusal(sequence(std::string(kRoberta) + ", " + kRoberta)),
              HasSubstr("a sequence of 2"));
  EXPECT_THAT(refusal(sequence(sequence(kRoberta))), HasSubstr("found Sequence"));
  EXPECT_EQ(read(sequence("7")).status().code(), StatusCode::invalid_input);
}

TEST(PostProcessor, RefusesOtherTemplatesByName) {
  const std::string single = "<s>:0 A:0 </s>:0";
  EXPECT_THAT(refusal(processor(single, "<s>:0 A:0 </s>:0 </s>:0 </s>:0 B:0 </s>:0")),
              HasSubstr("</s>:0 </s>:0 </s>:0"));
  EXPECT_THAT(refusal(processor(single, "<s>:0 A:0 </s>:0 </s>:1 B:1 </s>:1")),
              HasSubstr("</s>:1 B:1"));
  EXPECT_THAT(refusal(processor(single, "<s>:0 A:0 </s>:0 B:1")), HasSubstr("B:1"));
  EXPECT_THAT(refusal(processor("A:0 </s>:0", "A:0 </s>:0 B:0 </s>:0")), HasSubstr("A:0"));
  EXPECT_THAT(refusal(processor(single, "<s>:0 A:0 </s>:0 B:0 </s>:0"), true), HasSubstr("B:0"))
      << "an encoder with two types needs to see them";
}

TEST(PostProcessor, MustBeThere) {
  EXPECT_THAT(refusal("null"), HasSubstr("post_processor"));
  EXPECT_THAT(refusal(kByteLevel), HasSubstr("found ByteLevel"));
  EXPECT_EQ(read(R"({"type": "RobertaProcessing", "cls": ["<s>", 0]})").status().code(),
            StatusCode::invalid_input);
  EXPECT_THAT(read(R"({"type": "RobertaProcessing", "sep": ["</s>", 9], "cls": ["<s>", 0]})")
                  .status()
                  .message(),
              HasSubstr("found 9"));
}

}  // namespace
}  // namespace tilewise::text
