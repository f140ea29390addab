// The tokenizer.json of a Unigram tokenizer.
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/precompiled_map.h"
#include "text/test_support.h"
#include "text/tokenizer.h"

namespace tilewise::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A whole file; the tests below replace parts of it.
constexpr std::string_view kGood = R"({
  "added_tokens": [
    {"id": 3, "content": "<x>", "single_word": false, "lstrip": true, "rstrip": false, "normalized": true, "special": false}
  ],
  "normalizer": {"type": "Sequence", "normalizers": [
    {"type": "Strip", "strip_left": false, "strip_right": true},
    {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}]},
  "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
    {"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": false}]},
  "post_processor": {"type": "RobertaProcessing", "sep": ["b", 2], "cls": ["▁a", 1], "trim_offsets": true, "add_prefix_space": false},
  "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": true, "vocab": [["<unk>", 0], ["▁a", -1.5], ["b", -3.0]]}
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

TEST(UnigramJson, IsReadInFull) {
  const auto spec = read(std::string(kGood));
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(spec->model, model::TokenizerModel::unigram);
  EXPECT_THAT(spec->vocabulary, ElementsAre("<unk>", "▁a", "b"));
  EXPECT_EQ(spec->unknown_id, 0);
  EXPECT_EQ(spec->pair_separators, 2);
  EXPECT_EQ(spec->second_type, 0);
  EXPECT_THAT(spec->unigram.scores, ElementsAre(0, -1.5, -3));
  EXPECT_EQ(spec->unigram.unknown_score, -13) << "ten below the least";
  EXPECT_TRUE(spec->unigram.byte_fallback);
  EXPECT_THAT(spec->unigram.replacements, IsEmpty());
  EXPECT_FALSE(spec->unigram.strip_left);
  EXPECT_TRUE(spec->unigram.strip_right);
  EXPECT_EQ(spec->unigram.blanks, model::Blanks::one_metaspace);
  EXPECT_TRUE(spec->unigram.split_whitespace);
  EXPECT_EQ(spec->unigram.prepend, model::Prepend::always);
  EXPECT_FALSE(spec->unigram.split_metaspace);
}

TEST(UnigramJson, MayBeOfAnOldVersion) {
  const auto prepend_of = [](std::string_view setting) {
    const auto spec = read(with(R"("prepend_scheme": "always", "split": false)", setting));
    EXPECT_TRUE(spec.ok()) << spec.status().message();
    EXPECT_TRUE(spec->unigram.split_metaspace);
    return spec->unigram.prepend;
  };
  EXPECT_EQ(prepend_of(R"("add_prefix_space": true)"), model::Prepend::always);
  EXPECT_EQ(prepend_of(R"("add_prefix_space": false)"), model::Prepend::never);
  EXPECT_EQ(prepend_of(R"("str_rep": "▁")"), model::Prepend::always);
}

TEST(UnigramJson, KeepsTheLastIdOfAPieceThatIsThereTwice) {
  const auto spec = read(with(R"(["b", -3.0]])", R"(["b", -30.0], ["b", -3.0]])"));
  ASSERT_FALSE(spec.ok()) << "the separator is the first of them";
  const auto good = read(with(R"(["b", -3.0]])", R"(["▁a", -3.0], ["b", -3.0]])"));
  EXPECT_FALSE(good.ok()) << "the added token's id is taken";
}

/// A change to the good file, and what the message must say.
struct BadFile {
  const char* name;
  const char* old_part;
  const char* new_part;
  StatusCode code;
  const char* says;
};

class BadUnigramJson : public testing::TestWithParam<BadFile> {};

TEST_P(BadUnigramJson, IsRefused) {
  const Status status = read(with(GetParam().old_part, GetParam().new_part)).status();
  EXPECT_EQ(status.code(), GetParam().code) << status.message();
  EXPECT_THAT(status.message(), HasSubstr(GetParam().says));
  EXPECT_THAT(status.message(), HasSubstr("t.json"));
}

constexpr StatusCode kInvalid = StatusCode::invalid_input;
constexpr StatusCode kUnsupported = StatusCode::unsupported;
constexpr const char* kStrip = R"({"type": "Strip", "strip_left": false, "strip_right": true})";

INSTANTIATE_TEST_SUITE_P(
    UnigramJson, BadUnigramJson,
    testing::Values(
        BadFile{"NormalizerOfAlbert", kStrip, R"({"type": "NFKD"})", kUnsupported, "found NFKD"},
        BadFile{"StepsInAnotherOrder",
                R"({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"})",
                R"({"type": "Precompiled", "precompiled_charsmap": ""})", kUnsupported,
                "in this order; found Precompiled"},
        BadFile{"OtherPattern", "\" {2,}\"", "\" +\"", kUnsupported, "two or more blanks"},
        BadFile{"OtherReplacement", "\"content\": \"▁\"", "\"content\": \"\"", kUnsupported,
                "two or more blanks"},
        BadFile{"NoPreTokenizer", "\"pre_tokenizer\"", "\"other\"", kUnsupported,
                "WhitespaceSplit and Metaspace; found nothing"},
        BadFile{"OtherPreTokenizer", "\"WhitespaceSplit\"", "\"Punctuation\"", kUnsupported,
                "begins with Punctuation"},
        BadFile{"OtherMetaspace", "\"replacement\": \"▁\"", "\"replacement\": \"_\"", kUnsupported,
                "found \"_\""},
        BadFile{"OtherScheme", "\"always\"", "\"last\"", kUnsupported, "found last"},
        BadFile{"SchemesThatDiffer", "\"split\": false", "\"add_prefix_space\": false",
                kUnsupported, "expected never; found always"},
        BadFile{"FirstOfSeveralWords", "\"always\"", "\"first\"", kUnsupported, "found first"},
        BadFile{"NoUnknownPiece", "\"unk_id\": 0", "\"unk_id\": null", kUnsupported, "unk_id"},
        BadFile{"UnknownPieceOutside", "\"unk_id\": 0", "\"unk_id\": 3", kInvalid,
                "below 3; found 3"},
        BadFile{"PieceWithoutAScore", "[\"b\", -3.0]", "[\"b\"]", kInvalid, "vocab[2]"},
        BadFile{"ScoreThatIsNone", "-3.0", "\"-3\"", kInvalid, "vocab[2]"},
        BadFile{"VocabularyOfAnotherModel", "[[\"<unk>\", 0], [\"▁a\", -1.5], [\"b\", -3.0]]",
                "{\"a\": 1}", kInvalid, "model.vocab"},
        BadFile{"TokenThatVanishes", "\"<x>\"", "\"  \"", kUnsupported, "vanishes"}),
    [](const auto& param) { return std::string(param.param.name); });

// ---- the map

std::string base64_of(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (size_t j = 0; j < 4; ++j) {
      text += i + j <= bytes.size() ? kDigits[bits >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

/// The units of darts-clone: label, has a leaf (1 << 8), offset (<< 10); or a value.
std::string map_of(const std::vector<uint32_t>& units, std::string_view texts) {
  std::string bytes(4 + units.size() * 4, '\0');
  const auto size = static_cast<uint32_t>(units.size() * 4);
  std::memcpy(bytes.data(), &size, 4);
  std::memcpy(bytes.data() + 4, units.data(), size);
  return base64_of(bytes + std::string(texts));
}

/// One rule: "a" becomes the text at `value`.
std::vector<uint32_t> one_rule(uint32_t value) {
  std::vector<uint32_t> units(256);
  units[0] = 1U << 10;                                   // children at 1 ^ byte
  units[1 ^ 'a'] = 'a' | 1U << 8 | (1 ^ 'a' ^ 2) << 10;  // its leaf at 2
  units[2] = 1U << 31 | value;
  return units;
}

TEST(PrecompiledMapFile, IsRead) {
  const auto rules =
      read_precompiled_map(map_of(one_rule(2), std::string_view("x\0yz\0", 5)), "map");
  ASSERT_TRUE(rules.ok()) << rules.status().message();
  EXPECT_THAT(*rules, ElementsAre(model::Replacement{"a", "yz"}));
}

// The tables have 24 bits for where a rule's text lies. 80,000 paths here, all to the same 255
// bytes.
TEST(PrecompiledMapFile, IsRefusedWhenItsTextsTakeTooManyBytes) {
  std::vector<uint32_t> units(1025);
  units[0] = 256U << 10;
  for (uint32_t level = 256; level < 1024; level += 256) {
    const bool is_last = level == 768;
    const uint32_t labels = level == 256 ? 2 : 200;
    for (uint32_t byte = 1; byte <= labels; ++byte) {
      const uint32_t unit = level + byte;
      units[unit] = byte | (is_last ? 1U << 8 : 0) | (unit ^ (level + 256)) << 10;
    }
  }
  units[1024] = 1U << 31;
  const Status status = read_precompiled_map(map_of(units, std::string(255, 'x')), "map").status();
  EXPECT_EQ(status.code(), StatusCode::unsupported);
  EXPECT_THAT(status.message(), HasSubstr("bytes of texts"));
}

TEST(PrecompiledMapFile, IsRefusedWhenItIsBroken) {
  const auto message_of = [](const std::string& base64) {
    const Status status = read_precompiled_map(base64, "map").status();
    EXPECT_FALSE(status.ok()) << base64;
    return status.message();
  };
  EXPECT_THAT(message_of("AAA"), HasSubstr("base64"));
  EXPECT_THAT(message_of("A?AA"), HasSubstr("base64"));
  EXPECT_THAT(message_of(""), HasSubstr("too short"));
  EXPECT_THAT(message_of("AQAAAA=="), HasSubstr("wrong length"));
  EXPECT_THAT(message_of(map_of({0}, "")), HasSubstr("outside of itself"));
  EXPECT_THAT(message_of(map_of(one_rule(5), "x")), HasSubstr("outside of itself"));
  EXPECT_THAT(message_of(map_of(one_rule(0), "\xFF")), HasSubstr("UTF-8"));
  EXPECT_THAT(message_of(map_of(one_rule(1), "\xC3\xA9")), HasSubstr("UTF-8"));
  EXPECT_THAT(message_of(map_of(one_rule(0), std::string(256, 'x'))), HasSubstr("too long"));
  std::vector<uint32_t> endless(256);
  for (uint32_t i = 1; i < 256; ++i) endless[i] = i | i << 10;
  EXPECT_THAT(message_of(map_of(endless, "")), HasSubstr("too many rules"));
}

}  // namespace
}  // namespace tilewise::text
