#include "checkpoint/sentence_transformers.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/test_checkpoint.h"

namespace tilewise::checkpoint {
namespace {

using testing::HasSubstr;

class SentenceTransformer : public testing::Test {
 protected:
  SentenceTransformer() { spec_.hidden = 32, spec_.max_positions = 64; }
  Folder folder() { return {checkpoint_.path(), sources_}; }
  model::Task read() {
    return read_embedding_task(folder(), spec_, longest_sequence(folder(), spec_), report_);
  }
  void expect_refused(const std::string& message) {
    read();
    ASSERT_FALSE(report_.ok());
    EXPECT_THAT(report_.first_problem().message(), HasSubstr(message));
  }

  TestCheckpoint checkpoint_{"sentence_transformer"};
  model::EncoderSpec spec_;
  SourceFiles sources_;
  Report report_;
};

TEST_F(SentenceTransformer, MeanNormalizedAndItsOwnLength) {
  const model::Task task = read();
  ASSERT_TRUE(report_.ok()) << report_.first_problem().message();
  EXPECT_EQ(task.name, "embedding");
  EXPECT_EQ(task.kind, model::TaskKind::embedding);
  EXPECT_EQ(task.pooling, model::Pooling::mean);
  EXPECT_TRUE(task.normalize);
  EXPECT_EQ(task.max_tokens, 48);
}

TEST_F(SentenceTransformer, ClsPoolingInBothSpellings) {
  checkpoint_.edit("1_Pooling/config.json", "\"pooling_mode_cls_token\": false",
                   "\"pooling_mode_cls_token\": true");
  checkpoint_.edit("1_Pooling/config.json", "\"pooling_mode_mean_tokens\": true",
                   "\"pooling_mode_mean_tokens\": false");
  EXPECT_EQ(read().pooling, model::Pooling::cls);
  checkpoint_.write("1_Pooling/config.json",
                    R"({"embedding_dimension": 32, "pooling_mode": "cls"})");
  EXPECT_EQ(read().pooling, model::Pooling::cls);
  EXPECT_TRUE(report_.ok());
}

TEST_F(SentenceTransformer, WithoutNormalize) {
  checkpoint_.write(
      "modules.json",
      R"([{"type": "a.b.Transformer", "path": ""}, {"type": "a.b.Pooling", "path": "1_Pooling"}])");
  EXPECT_FALSE(read().normalize);
  EXPECT_TRUE(report_.ok());
}

TEST_F(SentenceTransformer, BareEncoderIsMeanPooled) {
  TestCheckpoint bare("bert");
  const model::Task task = read_embedding_task({bare.path(), sources_}, spec_, 64, report_);
  EXPECT_EQ(task.pooling, model::Pooling::mean);
  EXPECT_FALSE(task.normalize);
  EXPECT_EQ(task.max_tokens, 64);
  EXPECT_TRUE(report_.ok());
}

TEST_F(SentenceTransformer, LengthBeyondThePositionsIsCutAndNoted) {
  checkpoint_.write("sentence_bert_config.json", R"({"max_seq_length": 512})");
  EXPECT_EQ(read().max_tokens, 64);
  const auto findings = std::move(report_).take_findings();
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].level, Finding::Level::note);
}

TEST_F(SentenceTransformer, LengthOfTheTokenizer) {
  checkpoint_.remove("sentence_bert_config.json");
  checkpoint_.edit("tokenizer_config.json", "\"model_max_length\": 64", "\"model_max_length\": 20");
  EXPECT_EQ(read().max_tokens, 20);
  // Hugging Face's "no limit" is larger than any machine integer.
  checkpoint_.edit("tokenizer_config.json", "\"model_max_length\": 20",
                   "\"model_max_length\": 1000000000000000019884624838656");
  EXPECT_EQ(read().max_tokens, 64);
  checkpoint_.write("tokenizer_config.json", "{");
  EXPECT_EQ(read().max_tokens, 64);
}

TEST_F(SentenceTransformer, OtherPoolingIsRefusedByName) {
  checkpoint_.edit("1_Pooling/config.json", "\"pooling_mode_max_tokens\": false",
                   "\"pooling_mode_max_tokens\": true");
  expect_refused("max_tokens + mean");
}

TEST_F(SentenceTransformer, NoPoolingMode) {
  checkpoint_.edit("1_Pooling/config.json", "\"pooling_mode_mean_tokens\": true",
                   "\"pooling_mode_mean_tokens\": false");
  expect_refused("found none");
}

TEST_F(SentenceTransformer, OtherDimension) {
  checkpoint_.edit("1_Pooling/config.json", "\"word_embedding_dimension\": 32",
                   "\"word_embedding_dimension\": 64");
  expect_refused("word_embedding_dimension");
}

TEST_F(SentenceTransformer, DenseModuleIsRefusedByName) {
  checkpoint_.edit("modules.json", "sentence_transformers.models.Normalize",
                   "sentence_transformers.models.Dense");
  expect_refused("found Dense");
}

TEST_F(SentenceTransformer, PathOutsideTheFolder) {
  checkpoint_.edit("modules.json", "\"path\": \"1_Pooling\"", "\"path\": \"../1_Pooling\"");
  expect_refused("place that is not supported");
}

TEST_F(SentenceTransformer, TransformerInAFolderOfItsOwn) {
  checkpoint_.edit("modules.json", "\"path\": \"\"", "\"path\": \"0_Transformer\"");
  expect_refused("0_Transformer");
}

TEST_F(SentenceTransformer, MissingPoolingFile) {
  checkpoint_.remove("1_Pooling/config.json");
  expect_refused("1_Pooling/config.json");
}

TEST_F(SentenceTransformer, ModulesThatAreNoList) {
  checkpoint_.write("modules.json", "{}");
  expect_refused("modules.json");
}

TEST_F(SentenceTransformer, DefaultPromptIsRefusedOthersAreNoted) {
  const std::string prompts =
      R"({"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": )";
  checkpoint_.write("config_sentence_transformers.json", prompts + "null}");
  read();
  EXPECT_TRUE(report_.ok());
  checkpoint_.write("config_sentence_transformers.json", prompts + "\"query\"}");
  expect_refused("default prompt");
}

TEST_F(SentenceTransformer, EmbeddingsCutToFewerValuesAreRefused) {
  checkpoint_.write("config_sentence_transformers.json", R"({"truncate_dim": null})");
  read();
  EXPECT_TRUE(report_.ok());
  checkpoint_.write("config_sentence_transformers.json", R"({"truncate_dim": 16})");
  expect_refused("truncate_dim");
}

TEST_F(SentenceTransformer, ActivationOfACrossEncoder) {
  const auto activation = [&](const std::string& config_json) {
    const auto config = JsonFile::parse(config_json, "config.json");
    return cross_encoder_activation(folder(), *config->object(report_, "task"), report_);
  };
  EXPECT_EQ(activation("{}"), std::nullopt);
  EXPECT_EQ(
      activation(R"({"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"})"),
      "Identity");
  EXPECT_EQ(
      activation(
          R"({"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}})"),
      "Sigmoid");
  checkpoint_.write(
      "config_sentence_transformers.json",
      R"({"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.linear.Identity"})");
  EXPECT_EQ(activation("{}"), "Identity");
  const std::string sigmoid =
      R"({"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}})";
  EXPECT_EQ(activation(sigmoid), "Identity");
  checkpoint_.write("config_sentence_transformers.json", R"({"model_type": "CrossEncoder"})");
  EXPECT_EQ(activation("{}"), "Sigmoid");
  EXPECT_EQ(
      activation(R"({"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"})"),
      "Identity");
  checkpoint_.write("config_sentence_transformers.json",
                    R"({"model_type": "SentenceTransformer"})");
  EXPECT_EQ(activation("{}"), std::nullopt);
}

}  // namespace
}  // namespace tilewise::checkpoint
