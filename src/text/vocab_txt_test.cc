#include <filesystem>
#include <fstream>
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

/// A folder of the test's own, removed with it.
class VocabTxt : public testing::Test {
 protected:
  VocabTxt() {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    folder_ = std::filesystem::path(testing::TempDir()) / ("tilewise_vocab_txt_" + name);
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ndog\n##s\n\xC3\xA9\n");
  }
  ~VocabTxt() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, std::string_view text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  Result<model::TokenizerSpec> read() { return read_tokenizer(folder_.string()); }

  std::filesystem::path folder_;
};

TEST_F(VocabTxt, HasATokenALine) {
  const auto spec = read();
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_THAT(spec->vocabulary, ElementsAre("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the",
                                            "dog", "##s", "\xC3\xA9"));
  EXPECT_EQ(spec->pad_id, 0);
  EXPECT_EQ(spec->unknown_id, 1);
  EXPECT_EQ(spec->cls_id, 2);
  EXPECT_EQ(spec->sep_id, 3);
  EXPECT_TRUE(spec->clean_text && spec->separate_cjk && spec->lower_case && spec->strip_accents);
  EXPECT_EQ(spec->max_word_characters, 100);
  EXPECT_THAT(OwnedTokenizer(*spec).tokens("The DOGS [MASK] caf\xC3\xA9"),
              ElementsAre("the", "dog", "##s", "[MASK]", "[UNK]"));
}

TEST_F(VocabTxt, MayHaveWindowsLineEndsAndNoLastOne) {
  write("vocab.txt", "[UNK]\r\n[CLS]\r\n[SEP]\r\nthe");
  const auto spec = read();
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_THAT(spec->vocabulary, ElementsAre("[UNK]", "[CLS]", "[SEP]", "the"));
}

TEST_F(VocabTxt, CountsEmptyLinesAndKeepsTheLastIdOfATokenThatIsThereTwice) {
  write("vocab.txt", "[UNK]\n[CLS]\n[SEP]\nthe\n\nthe\n");
  const auto spec = read();
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_THAT(OwnedTokenizer(*spec).encode("the"), ElementsAre(5));
}

TEST_F(VocabTxt, IsReadAsItsConfigSays) {
  write("tokenizer_config.json",
        R"({"do_lower_case": false, "tokenize_chinese_chars": false, "strip_accents": null})");
  const auto cased = read();
  ASSERT_TRUE(cased.ok());
  EXPECT_FALSE(cased->lower_case || cased->strip_accents || cased->separate_cjk);
  write("tokenizer_config.json", R"({"do_lower_case": true, "strip_accents": false})");
  const auto accents = read();
  ASSERT_TRUE(accents.ok());
  EXPECT_TRUE(accents->lower_case && accents->separate_cjk);
  EXPECT_THAT(OwnedTokenizer(*accents).tokens("\xC3\x89"), ElementsAre("\xC3\xA9"));
}

TEST_F(VocabTxt, TakesTheLengthLimitThatMeansNone) {
  write("tokenizer_config.json",
        R"({"model_max_length": 1000000000000000019884624838656, "do_lower_case": false})");
  const auto spec = read();
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_FALSE(spec->lower_case);
}

TEST_F(VocabTxt, MayNameItsSpecialTokens) {
  write("vocab.txt", "<unk>\n<s>\n</s>\nthe\n");
  write(
      "tokenizer_config.json",
      R"({"unk_token": "<unk>", "cls_token": {"content": "<s>", "lstrip": true}, "sep_token": "</s>"})");
  const auto spec = read();
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(spec->cls_id, 1);
  EXPECT_EQ(spec->sep_id, 2);
  ASSERT_EQ(spec->added_tokens.size(), 3u) << "there is no line for [PAD] and [MASK]";
  EXPECT_EQ(spec->added_tokens[1],
            (model::AddedToken{.id = 1, .content = "<s>", .special = true, .left_strip = true}));
}

TEST_F(VocabTxt, MayBeMpnets) {
  write("vocab.txt", "<s>\n<pad>\n</s>\n[UNK]\nthe\n<mask>\n");
  write("tokenizer_config.json", R"({"tokenizer_class": "MPNetTokenizer"})");
  const auto spec = read();
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(spec->cls_id, 0);
  EXPECT_EQ(spec->pad_id, 1);
  EXPECT_EQ(spec->sep_id, 2);
  EXPECT_EQ(spec->unknown_id, 3);
  EXPECT_EQ(spec->pair_separators, 2);
  EXPECT_EQ(spec->second_type, 0);
  EXPECT_TRUE(spec->added_tokens.back().left_strip) << "<mask>";
}

TEST_F(VocabTxt, YieldsToTokenizerJson) {
  write("vocab.txt", "nothing\n");
  std::filesystem::copy_file(golden_path("cased/tokenizer.json"), folder_ / "tokenizer.json");
  const auto spec = read();
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(*spec, golden_spec("cased"));
}

// Else transformers gives the encoder no types at all.
TEST_F(VocabTxt, GivesTheSecondTypeOnlyWhereTheConfigNamesTypes) {
  EXPECT_EQ(read()->second_type, 1) << "no config";
  write("tokenizer_config.json",
        R"({"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]})");
  EXPECT_EQ(read()->second_type, 1);
  write("tokenizer_config.json", R"({"model_input_names": ["input_ids", "attention_mask"]})");
  EXPECT_EQ(read()->second_type, 0);
  std::filesystem::copy_file(golden_path("cased/tokenizer.json"), folder_ / "tokenizer.json");
  EXPECT_EQ(read()->second_type, 0) << "nor with tokenizer.json";
}

TEST_F(VocabTxt, RefusesAFolderWithoutATokenizer) {
  std::filesystem::remove(folder_ / "vocab.txt");
  EXPECT_EQ(read().status().code(), StatusCode::not_found);
  EXPECT_THAT(read().status().message(), HasSubstr("tokenizer.json, vocab.txt, or"));
  EXPECT_EQ(read_tokenizer((folder_ / "no such folder").string()).status().code(),
            StatusCode::not_found);
}

TEST_F(VocabTxt, RefusesAVocabularyWithoutItsSpecialTokens) {
  write("vocab.txt", "[UNK]\n[SEP]\nthe\n");
  EXPECT_EQ(read().status().code(), StatusCode::invalid_input);
  EXPECT_THAT(read().status().message(), HasSubstr("cls_token"));
}

TEST_F(VocabTxt, RefusesWhatIsNotUtf8) {
  write("vocab.txt", "[UNK]\n[CLS]\n[SEP]\ncaf\xE9\n");
  EXPECT_THAT(read().status().message(), HasSubstr("UTF-8"));
}

TEST_F(VocabTxt, RefusesAnEmptyFile) {
  write("vocab.txt", "");
  EXPECT_EQ(read().status().code(), StatusCode::invalid_input);
}

TEST_F(VocabTxt, RefusesTokenizersOfAnotherKindByName) {
  write("tokenizer_config.json", R"({"tokenizer_class": "BertJapaneseTokenizer"})");
  EXPECT_EQ(read().status().code(), StatusCode::unsupported);
  EXPECT_THAT(read().status().message(), HasSubstr("BertJapaneseTokenizer"));
}

TEST_F(VocabTxt, RefusesTokensThatOnlyTokenizerJsonDescribes) {
  write("tokenizer_config.json", R"({"additional_special_tokens": ["<x>"]})");
  EXPECT_THAT(read().status().message(), HasSubstr("additional_special_tokens"));
  write("tokenizer_config.json", R"({"additional_special_tokens": [], "never_split": null})");
  EXPECT_TRUE(read().ok());
  write("tokenizer_config.json", R"({"do_basic_tokenize": false})");
  EXPECT_THAT(read().status().message(), HasSubstr("do_basic_tokenize"));
  write("tokenizer_config.json", "{}");
  write("added_tokens.json", R"({"<x>": 9})");
  EXPECT_THAT(read().status().message(), HasSubstr("added_tokens.json"));
}

TEST_F(VocabTxt, RefusesATokenThatIsDescribedTwice) {
  write("tokenizer_config.json", R"({"added_tokens_decoder":
      {"2": {"content": "[CLS]"}, "3": {"content": "[SEP]"}, "9": {"content": "[CLS]"}}})");
  const Status status = read().status();
  EXPECT_EQ(status.code(), StatusCode::invalid_input);
  EXPECT_THAT(status.message(), HasSubstr("described twice"));
}

TEST_F(VocabTxt, RefusesABrokenConfig) {
  write("tokenizer_config.json", R"({"do_lower_case": "yes"})");
  EXPECT_THAT(read().status().message(), HasSubstr("do_lower_case"));
  write("tokenizer_config.json", "{");
  EXPECT_THAT(read().status().message(), HasSubstr("tokenizer_config.json"));
}

}  // namespace
}  // namespace tilewise::text
