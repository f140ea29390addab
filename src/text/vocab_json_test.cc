#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include "text/test_support.h"
#include "text/tokenizer.h"

namespace tilewise::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// vocab.json and merges.txt in a folder of the test's own, removed with it.
class VocabJson : public testing::Test {
 protected:
  VocabJson() {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    folder_ = std::filesystem::path(testing::TempDir()) / ("tilewise_vocab_json_" + name);
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    write("vocab.json", R"({"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "t": 4, "h": 5, "e": 6,
                            "th": 7, "the": 8, "<mask>": 9})");
    write("merges.txt", "#version: 0.2\nt h\nth e\n");
  }
  ~VocabJson() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, std::string_view text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  Result<model::TokenizerSpec> read() { return read_tokenizer(folder_.string()); }
  std::string refusal(StatusCode code) {
    EXPECT_EQ(read().status().code(), code) << read().status().message();
    return read().status().message();
  }

  std::filesystem::path folder_;
};

TEST_F(VocabJson, IsRoberta) {
  const auto spec = read();
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(spec->model, model::TokenizerModel::byte_bpe);
  EXPECT_EQ(spec->cls_id, 0);
  EXPECT_EQ(spec->pad_id, 1);
  EXPECT_EQ(spec->sep_id, 2);
  EXPECT_EQ(spec->unknown_id, 3);
  EXPECT_EQ(spec->pair_separators, 2);
  EXPECT_EQ(spec->second_type, 0);
  EXPECT_THAT(spec->merges, ElementsAre(model::Merge{4, 5, 7}, model::Merge{7, 6, 8}));
  EXPECT_THAT(OwnedTokenizer(*spec).tokens("tthe<mask>"), ElementsAre("t", "the", "<mask>"));
}

TEST_F(VocabJson, SaysTheSameAsTokenizerJson) {
  for (const char* name : {"vocab.json", "merges.txt"}) {
    std::filesystem::copy_file(golden_path("roberta/") + name, folder_ / name,
                               std::filesystem::copy_options::overwrite_existing);
  }
  write("tokenizer_config.json", R"({"mask_token": {"content": "<mask>", "lstrip": true}})");
  const auto spec = read();
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  const OwnedTokenizer from_files(*spec), from_json(golden_spec("roberta"));
  simdjson::dom::parser parser;
  for (const std::string& line : golden_lines("byte_bpe.golden.jsonl")) {
    const std::string text{std::string_view(parser.parse(line)["text"])};
    EXPECT_EQ(from_files.encode(text), from_json.encode(text)) << text;
  }
}

TEST_F(VocabJson, IsReadAsItsConfigSays) {
  write("vocab.json", R"({"[CLS]": 0, "</s>": 1, "t": 2, "\u0120": 3, "<mask>": 4})");
  write("merges.txt", "");
  write("tokenizer_config.json",
        R"({"add_prefix_space": true, "cls_token": "[CLS]", "tokenizer_class": "RobertaTokenizer",
            "added_tokens_decoder": {"4": {"content": "<mask>", "lstrip": true, "special": true}}})");
  const auto spec = read();
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(spec->cls_id, 0);
  EXPECT_EQ(spec->unknown_id, 0) << "it has none";
  EXPECT_THAT(OwnedTokenizer(*spec).encode("t  <mask>"), ElementsAre(3, 2, 4));
}

TEST_F(VocabJson, MayHaveWindowsLineEndsAndNoVersion) {
  write("merges.txt", "t h\r\nth e");
  const auto spec = read();
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(spec->merges.size(), 2U);
}

TEST_F(VocabJson, RefusesBrokenMerges) {
  write("merges.txt", "#version: 0.2\nt h\n\nth e\n");
  EXPECT_THAT(refusal(StatusCode::invalid_input), HasSubstr("merges.txt line 3"));
  write("merges.txt", "t h e\n");
  EXPECT_THAT(refusal(StatusCode::invalid_input), HasSubstr("\"t h e\""));
  write("merges.txt", "t e\n");
  EXPECT_THAT(refusal(StatusCode::invalid_input), HasSubstr("alone and together"));
  std::filesystem::remove(folder_ / "merges.txt");
  EXPECT_THAT(read().status().message(), HasSubstr("merges.txt"));
}

TEST_F(VocabJson, RefusesABrokenVocabulary) {
  write("vocab.json", R"({"<s>": 0, "</s>": "2"})");
  EXPECT_THAT(refusal(StatusCode::invalid_input), HasSubstr("</s>"));
  write("vocab.json", "[]");
  EXPECT_THAT(refusal(StatusCode::invalid_input), HasSubstr("vocab.json"));
  write("merges.txt", "");
  write("vocab.json", R"({"<s>": 0})");
  EXPECT_THAT(refusal(StatusCode::invalid_input), HasSubstr("sep_token"));
}

TEST_F(VocabJson, RefusesWhatIsNotRobertasByName) {
  write("tokenizer_config.json", R"({"tokenizer_class": "GPT2Tokenizer"})");
  EXPECT_THAT(refusal(StatusCode::unsupported), HasSubstr("GPT2Tokenizer"));
  write("tokenizer_config.json", R"({"added_tokens_decoder": {"9": {"content": "<new>"}}})");
  EXPECT_THAT(refusal(StatusCode::unsupported), HasSubstr("<new>"));
  write("tokenizer_config.json", R"({"additional_special_tokens": ["<x>"]})");
  EXPECT_THAT(refusal(StatusCode::unsupported), HasSubstr("additional_special_tokens"));
}

}  // namespace
}  // namespace tilewise::text
