// The tokenizer.json of a byte BPE tokenizer.
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/test_support.h"
#include "text/tokenizer.h"

namespace tilewise::text {
namespace {

using model::Merge;
using testing::ElementsAre;
using testing::HasSubstr;

/// A whole file; the tests below replace parts of it.
constexpr std::string_view kGood = R"({
  "added_tokens": [
    {"id": 4, "content": "<x>", "single_word": false, "lstrip": true, "rstrip": false, "normalized": true, "special": false}
  ],
  "normalizer": null,
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
  "post_processor": {"type": "RobertaProcessing", "sep": ["b", 1], "cls": ["a", 0], "trim_offsets": true, "add_prefix_space": false},
  "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
  "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false,
    "byte_fallback": false, "ignore_merges": false, "vocab": {"a": 0, "b": 1, "ab": 2, "aba": 3}, "merges": ["a b", ["ab", "a"]]}
})";

std::string with(std::string_view old_part, std::string_view new_part) {
  std::string json(kGood);
  const size_t at = json.find(old_part);
  EXPECT_NE(at, std::string::npos) << old_part;
  return json.replace(at, old_part.size(), new_part);
}

Result<model::TokenizerSpec> read(const std::string& json) {
  return parse_tokenizer_json(json, "t.json");
}

TEST(ByteBpeJson, IsReadInFull) {
  const auto spec = read(std::string(kGood));
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(spec->model, model::TokenizerModel::byte_bpe);
  EXPECT_THAT(spec->vocabulary, ElementsAre("a", "b", "ab", "aba"));
  EXPECT_THAT(spec->merges, ElementsAre(Merge{0, 1, 2}, Merge{2, 0, 3}));
  EXPECT_TRUE(spec->add_prefix_space);
  EXPECT_FALSE(spec->compose || spec->ignore_merges || spec->fuse_unknown);
  EXPECT_EQ(spec->unknown_byte_id, -1);
  EXPECT_EQ(spec->unknown_id, spec->cls_id) << "it has none";
  EXPECT_EQ(spec->added_tokens.size(), 1U);
}

TEST(ByteBpeJson, MayComposeItsText) {
  const auto compose = [](std::string_view normalizer) {
    const auto spec = read(with("\"normalizer\": null", normalizer));
    EXPECT_TRUE(spec.ok()) << spec.status().message();
    return spec->compose;
  };
  EXPECT_TRUE(compose(R"("normalizer": {"type": "NFC"})"));
  EXPECT_TRUE(compose(R"("normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]})"));
  EXPECT_FALSE(compose(R"("normalizer": {"type": "Sequence", "normalizers": []})"));
}

TEST(ByteBpeJson, MaySayWhatUnknownBytesBecome) {
  const auto spec = read(with("\"unk_token\": null", "\"unk_token\": \"b\""));
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(spec->unknown_byte_id, 1);
  EXPECT_EQ(spec->unknown_id, 1);
}

TEST(ByteBpeJson, MayLeaveSettingsOut) {
  const auto spec = read(with(
      R"("type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false,
    "byte_fallback": false, "ignore_merges": false, )",
      ""));
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(spec->merges.size(), 2U) << "the merges say that it is BPE";
}

TEST(ByteBpeJson, KeepsTheLastPlaceOfAMergeThatIsThereTwice) {
  auto spec = read(with("[\"a b\", [\"ab\", \"a\"]]", "[\"a b\", \"b a\", \"a b\"]"));
  EXPECT_FALSE(spec.ok()) << "\"ba\" is no token";
  spec = read(with("\"aba\": 3}, \"merges\": [\"a b\", [\"ab\", \"a\"]]",
                   "\"ba\": 3}, \"merges\": [\"a b\", \"b a\", \"a b\"]"));
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  spec->add_prefix_space = false;
  EXPECT_THAT(OwnedTokenizer(*spec).tokens("aba"), ElementsAre("a", "ba"));
}

/// A change to the good file, and what the message must say.
struct BadFile {
  const char* name;
  const char* old_part;
  const char* new_part;
  StatusCode code;
  const char* says;
};

class BadByteBpeJson : public testing::TestWithParam<BadFile> {};

TEST_P(BadByteBpeJson, IsRefused) {
  const Status status = read(with(GetParam().old_part, GetParam().new_part)).status();
  EXPECT_EQ(status.code(), GetParam().code) << status.message();
  EXPECT_THAT(status.message(), HasSubstr(GetParam().says));
  EXPECT_THAT(status.message(), HasSubstr("t.json"));
}

constexpr StatusCode kInvalid = StatusCode::invalid_input;
constexpr StatusCode kUnsupported = StatusCode::unsupported;

INSTANTIATE_TEST_SUITE_P(
    ByteBpeJson, BadByteBpeJson,
    testing::Values(
        BadFile{"OtherNormalizer", "\"normalizer\": null", "\"normalizer\": {\"type\": \"NFKC\"}",
                kUnsupported, "expected NFC or nothing; found NFKC"},
        BadFile{"NormalizerToBytes", "\"normalizer\": null",
                "\"normalizer\": {\"type\": \"ByteLevel\"}", kUnsupported, "found ByteLevel"},
        BadFile{"NormalizerInASequence", "\"normalizer\": null",
                "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}, "
                "{\"type\": \"Lowercase\"}]}",
                kUnsupported, "normalizers[1]; expected NFC or nothing; found Lowercase"},
        BadFile{"OtherPreTokenizer", "{\"type\": \"ByteLevel\", \"add",
                "{\"type\": \"Metaspace\", \"add", kUnsupported,
                "pre_tokenizer; expected ByteLevel; found Metaspace"},
        BadFile{"WithoutTheExpression", "\"use_regex\": true", "\"use_regex\": false", kUnsupported,
                "use_regex"},
        BadFile{"NoPrefixSpace", "\"add_prefix_space\": true, ", "", kInvalid, "add_prefix_space"},
        BadFile{"Dropout", "\"dropout\": null", "\"dropout\": 0.1", kUnsupported,
                "model.dropout; expected nothing; found 0.1"},
        BadFile{"Prefix", "\"continuing_subword_prefix\": \"\"",
                "\"continuing_subword_prefix\": \"##\"", kUnsupported, "found \"##\""},
        BadFile{"Suffix", "\"end_of_word_suffix\": \"\"", "\"end_of_word_suffix\": \"</w>\"",
                kUnsupported, "end_of_word_suffix"},
        BadFile{"ByteFallback", "\"byte_fallback\": false", "\"byte_fallback\": true", kUnsupported,
                "byte_fallback"},
        BadFile{"UnknownTokenNotThere", "\"unk_token\": null", "\"unk_token\": \"u\"", kInvalid,
                "unk_token"},
        BadFile{"NoMerges", "\"merges\"", "\"other\"", kInvalid, "model.merges"},
        BadFile{"MergeOfOne", "\"a b\"", "\"ab\"", kInvalid, "merges[0]"},
        BadFile{"MergeOfThree", "[\"ab\", \"a\"]", "[\"a\", \"b\", \"a\"]", kInvalid, "merges[1]"},
        BadFile{"MergeOfNumbers", "[\"ab\", \"a\"]", "[2, 0]", kInvalid, "merges[1]"},
        BadFile{"MergeOfAnUnknownToken", "\"a b\"", "\"a c\"", kInvalid, "\"c\""},
        BadFile{"MergeThatMakesNoToken", "\"a b\"", "\"b a\"", kInvalid, "alone and together"},
        BadFile{"NoVocabulary", "\"vocab\"", "\"other\"", kInvalid, "model.vocab"}),
    [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace tilewise::text
