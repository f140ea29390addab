#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/test_checkpoint.h"

namespace tilewise::checkpoint {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kWeights = "model.safetensors";
constexpr const char* kQuery = "encoder.layer.1.attention.self.query.weight";

/// load() and check() of a broken checkpoint must both say so.
void expect_problem(const Source& source, StatusCode code, const std::string& what,
                    const std::string& detail) {
  const auto model = load(source);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), code) << model.status().message();
  EXPECT_THAT(model.status().message(), AllOf(HasSubstr(what), HasSubstr(detail)));
  const auto findings = check(source);
  ASSERT_TRUE(findings.ok()) << findings.status().message();
  EXPECT_THAT(problems(*findings), AllOf(HasSubstr(what), HasSubstr(detail)));
}

void expect_problem(const TestCheckpoint& checkpoint, StatusCode code, const std::string& what,
                    const std::string& detail) {
  expect_problem(Source{checkpoint.path(), ""}, code, what, detail);
}

RawTensor& named(std::vector<RawTensor>& tensors, const std::string& name) {
  return *std::find_if(tensors.begin(), tensors.end(),
                       [&](const RawTensor& t) { return t.name == name; });
}

/// The same checkpoint with its tensors changed by `change`.
template <class Change>
void change_tensors(TestCheckpoint& checkpoint, Change change) {
  auto tensors = checkpoint.tensors(kWeights);
  change(tensors);
  checkpoint.write_tensors(kWeights, tensors);
}

TEST(Load, GivesSpecProvenanceAndUnmergedAdapter) {
  const auto model = load({data_folder() + "/multi_task", data_folder() + "/bert"});
  ASSERT_TRUE(model.ok()) << model.status().message();
  model::EncoderSpec expected;
  expected.family = "bert";
  expected.vocab_size = 126;
  expected.hidden = 32;
  expected.layers = 2;
  expected.heads = 4;
  expected.intermediate = 64;
  expected.max_positions = 64;
  expected.token_types = 2;
  EXPECT_EQ(model->spec, expected);
  EXPECT_EQ(model->adapter.size(), 12u);  // two layers of six
  EXPECT_FLOAT_EQ(model->adapter[0].scale, 6.0f / 4.0f);
  EXPECT_EQ(model->provenance.architecture, "BertModel");
  std::vector<std::string> files;
  for (const auto& source : model->provenance.sources) files.push_back(source.file);
  EXPECT_THAT(files, ElementsAre("config.json", "tasks.json", kWeights, "heads.safetensors",
                                 "adapter_config.json", "adapter_model.safetensors"));
}

TEST(Load, ProvenanceHoldsWhatSha256sumPrints) {
  TestCheckpoint checkpoint("bert");
  checkpoint.write(kWeights, checkpoint.read(kWeights));
  const auto model = load({checkpoint.path(), ""});
  ASSERT_TRUE(model.ok());
  // sha256sum tests/data/checkpoint/bert/model.safetensors; also in multi_task/tasks.json, written
  // by Python's hashlib.
  const TestCheckpoint tasks("multi_task");
  EXPECT_THAT(tasks.read("tasks.json"), HasSubstr(model->provenance.sources[1].sha256));
}

TEST(Load, BackboneInTheSameFolder) {
  TestCheckpoint checkpoint("multi_task");
  checkpoint.copy("bert");
  const auto model = load({checkpoint.path(), ""});
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->tasks.size(), 5u);
  EXPECT_EQ(model->adapter.size(), 12u);
}

TEST(Load, OldNamesOfNormsAndPositionIds) {
  TestCheckpoint checkpoint("bert");
  const auto before = load({checkpoint.path(), ""});
  change_tensors(checkpoint, [](std::vector<RawTensor>& tensors) {
    for (RawTensor& t : tensors) {
      const size_t at = t.name.find("LayerNorm.");
      if (at != std::string::npos)
        t.name = t.name.substr(0, at) +
                 (t.name.ends_with("weight") ? "LayerNorm.gamma" : "LayerNorm.beta");
      t.name = "bert." + t.name;
    }
    tensors.push_back({"bert.embeddings.position_ids", "I64", {1, 1}, std::string(8, '\0')});
  });
  const auto after = load({checkpoint.path(), ""});
  ASSERT_TRUE(after.ok()) << after.status().message();
  EXPECT_EQ(after->weights.layers[1].ffn_norm.gain.values,
            before->weights.layers[1].ffn_norm.gain.values);
  EXPECT_EQ(after->weights.layers[1].ffn_norm.bias.values,
            before->weights.layers[1].ffn_norm.bias.values);
  EXPECT_NE(after->weights.layers[1].ffn_norm.gain.values,
            after->weights.layers[1].ffn_norm.bias.values);
}

TEST(Load, OldConfigsNameTheModelTypeOrTheArchitectureOnly) {
  TestCheckpoint checkpoint("bert");
  const std::string config = checkpoint.read("config.json");
  checkpoint.edit("config.json", "\"model_type\": \"bert\",", "");
  EXPECT_TRUE(load({checkpoint.path(), ""}).ok());
  checkpoint.write("config.json", config);
  checkpoint.edit("config.json", "\"architectures\": [\n    \"BertModel\"\n  ],", "");
  EXPECT_TRUE(load({checkpoint.path(), ""}).ok());
  checkpoint.edit("config.json", "\"model_type\": \"bert\",", "");
  expect_problem(checkpoint, StatusCode::unsupported, "architecture is not supported", "BertModel");
}

TEST(Load, LanguageModelsHeadIsLeftAside) {
  TestCheckpoint checkpoint("bert");
  checkpoint.edit("config.json", "\"BertModel\"", "\"BertForMaskedLM\"");
  change_tensors(checkpoint, [](std::vector<RawTensor>& tensors) {
    for (RawTensor& t : tensors) t.name = "bert." + t.name;
    tensors.push_back(f32_tensor("cls.predictions.bias", {1}, {0}));
  });
  EXPECT_TRUE(load({checkpoint.path(), ""}).ok());
  const auto findings = check({checkpoint.path(), ""});
  ASSERT_TRUE(findings.ok());
  EXPECT_TRUE(std::any_of(findings->begin(), findings->end(), [](const Finding& f) {
    return f.level == Finding::Level::note &&
           f.detail.find("cls.predictions.bias") != std::string::npos;
  }));
}

TEST(Load, PlacesThatDoNotExist) {
  for (const bool checking : {false, true}) {
    const Source nowhere{"/nonexistent/folder", ""};
    const Source file{data_folder() + "/golden.json", ""};
    const Source no_backbone{data_folder() + "/multi_task", "/nonexistent/backbone"};
    const auto status = [&](const Source& source) {
      return checking ? check(source).status() : load(source).status();
    };
    EXPECT_EQ(status(nowhere).code(), StatusCode::not_found);
    EXPECT_EQ(status(file).code(), StatusCode::invalid_input);
    EXPECT_EQ(status(no_backbone).code(), StatusCode::not_found);
    EXPECT_THAT(status(no_backbone).message(), HasSubstr("/nonexistent/backbone"));
  }
}

TEST(Load, WithoutBackboneSaysHowToGiveIt) {
  expect_problem(Source{data_folder() + "/multi_task", ""}, StatusCode::not_found,
                 "no backbone here", "--backbone");
}

TEST(Load, WholeCheckpointOnABackboneIsAMistake) {
  expect_problem(Source{data_folder() + "/bert_classifier", data_folder() + "/bert"},
                 StatusCode::invalid_argument, "nothing to put on a backbone", "tasks.json");
}

TEST(Load, PickleIsNotRead) {
  TestCheckpoint checkpoint("bert");
  checkpoint.remove(kWeights);
  checkpoint.write("pytorch_model.bin", "pickle");
  expect_problem(checkpoint, StatusCode::not_found, "weights are missing", "PyTorch pickle");
}

TEST(Load, ForeignBackboneIsRefused) {
  TestCheckpoint backbone("bert");
  change_tensors(backbone, [](std::vector<RawTensor>& tensors) { tensors[0].bytes[0] ^= 1; });
  expect_problem(Source{data_folder() + "/multi_task", backbone.path()}, StatusCode::invalid_input,
                 "not the backbone that the tasks were trained on", "backbone.sha256");
}

struct BadConfig {
  const char* name;
  const char* folder;
  const char* from;
  const char* to;
  StatusCode code;
  const char* what;
  const char* detail;
};
void PrintTo(const BadConfig& bad, std::ostream* out) { *out << bad.name; }

class BadConfigs : public testing::TestWithParam<BadConfig> {};

TEST_P(BadConfigs, AreRefusedByName) {
  const BadConfig& bad = GetParam();
  TestCheckpoint checkpoint(bad.folder);
  checkpoint.edit("config.json", bad.from, bad.to);
  expect_problem(checkpoint, bad.code, bad.what, bad.detail);
}

const BadConfig kBadConfigs[] = {
    {"foreign_architecture", "bert", "\"BertModel\"", "\"RobertaModel\"", StatusCode::unsupported,
     "architecture is not supported", "RobertaModel"},
    {"foreign_model_type", "bert", "\"model_type\": \"bert\"", "\"model_type\": \"roberta\"",
     StatusCode::unsupported, "architecture is not supported", "roberta"},
    {"other_head", "bert_classifier", "BertForSequenceClassification", "BertForTokenClassification",
     StatusCode::unsupported, "BertForSequenceClassification", "BertForTokenClassification"},
    {"activation", "bert", "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"gelu_new\"",
     StatusCode::unsupported, "activation of the encoder", "gelu_new"},
    {"activation_of_distilbert", "distilbert_classifier", "\"activation\": \"gelu\"",
     "\"activation\": \"relu\"", StatusCode::unsupported, "activation of the encoder", "relu"},
    {"relative_positions", "bert", "\"hidden_size\"",
     "\"position_embedding_type\": \"relative_key\", \"hidden_size\"", StatusCode::unsupported,
     "position scheme", "relative_key"},
    {"decoder", "bert", "\"is_decoder\": false", "\"is_decoder\": true", StatusCode::unsupported,
     "decoder is not supported", "is_decoder"},
    {"pruned", "bert", "\"hidden_size\"", "\"pruned_heads\": {\"0\": [1]}, \"hidden_size\"",
     StatusCode::unsupported, "pruned_heads", "{\"0\":[1]}"},
    {"quantized", "bert", "\"hidden_size\"",
     "\"quantization_config\": {\"bits\": 4}, \"hidden_size\"", StatusCode::unsupported,
     "quantization_config", "bits"},
    {"hidden_is_text", "bert", "\"hidden_size\": 32", "\"hidden_size\": \"32\"",
     StatusCode::invalid_input, "value that it cannot have", "hidden_size"},
    {"hidden_is_huge", "bert", "\"hidden_size\": 32", "\"hidden_size\": 4000000000",
     StatusCode::invalid_input, "value that it cannot have", "4000000000"},
    {"no_layers", "bert", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 0",
     StatusCode::invalid_input, "num_hidden_layers", "found 0"},
    {"layers_missing", "bert", "\"num_hidden_layers\": 2,", "", StatusCode::invalid_input,
     "field is missing", "num_hidden_layers"},
    {"heads_do_not_divide", "bert", "\"num_attention_heads\": 4", "\"num_attention_heads\": 5",
     StatusCode::invalid_input, "heads do not divide", "found 5"},
    {"epsilon", "bert", "\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": -1",
     StatusCode::invalid_input, "layer_norm_eps", "-1"},
    {"fewer_layers_than_tensors", "bert", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1",
     StatusCode::unsupported, "does not explain", "encoder.layer.1."},
    {"more_layers_than_tensors", "bert", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3",
     StatusCode::invalid_input, "tensor is missing", "encoder.layer.2.attention.self.query.weight"},
    {"other_vocabulary", "bert", "\"vocab_size\": 126", "\"vocab_size\": 127",
     StatusCode::invalid_input, "wrong shape", "[127, 32]"},
    {"no_room_for_a_pair", "bert", "\"max_position_embeddings\": 64",
     "\"max_position_embeddings\": 3", StatusCode::invalid_input, "value that it cannot have",
     "max_position_embeddings"},
    {"pairs_with_one_token_type", "cross_encoder", "\"type_vocab_size\": 2",
     "\"type_vocab_size\": 1", StatusCode::unsupported, "two token types", "type_vocab_size"},
    {"not_json", "bert", "\"architectures\": [", "\"architectures\": ", StatusCode::invalid_input,
     "not the JSON", "config.json"},
};
INSTANTIATE_TEST_SUITE_P(, BadConfigs, testing::ValuesIn(kBadConfigs),
                         [](const auto& bad) { return std::string(bad.param.name); });

TEST(BadWeights, MissingTensor) {
  TestCheckpoint checkpoint("bert");
  change_tensors(checkpoint, [](std::vector<RawTensor>& tensors) {
    std::erase_if(tensors, [](const RawTensor& t) { return t.name == kQuery; });
  });
  expect_problem(checkpoint, StatusCode::invalid_input, "tensor is missing", kQuery);
}

TEST(BadWeights, WrongShape) {
  TestCheckpoint checkpoint("bert");
  change_tensors(checkpoint,
                 [](std::vector<RawTensor>& tensors) { named(tensors, kQuery).shape = {16, 64}; });
  expect_problem(checkpoint, StatusCode::invalid_input, "wrong shape", "[16, 64]");
}

TEST(BadWeights, IntegerType) {
  TestCheckpoint checkpoint("bert");
  change_tensors(checkpoint,
                 [](std::vector<RawTensor>& tensors) { named(tensors, kQuery).dtype = "I32"; });
  expect_problem(checkpoint, StatusCode::unsupported, "type that weights cannot have", "I32");
}

TEST(BadWeights, NanIsRefusedWithItsTensor) {
  TestCheckpoint checkpoint("bert");
  change_tensors(checkpoint, [](std::vector<RawTensor>& tensors) {
    named(tensors, kQuery) = f32_tensor(
        kQuery, {32, 32}, std::vector<float>(1024, std::numeric_limits<float>::quiet_NaN()));
  });
  const auto model = load({checkpoint.path(), ""});
  ASSERT_FALSE(model.ok());
  EXPECT_THAT(model.status().message(), AllOf(HasSubstr("not finite"), HasSubstr(kQuery)));
}

TEST(BadWeights, Truncated) {
  TestCheckpoint checkpoint("bert");
  const std::string bytes = checkpoint.read(kWeights);
  checkpoint.write(kWeights, bytes.substr(0, bytes.size() / 2));
  expect_problem(checkpoint, StatusCode::invalid_input, "outside the file", kWeights);
}

TEST(BadWeights, AWrongSizeDoesNotFloodTheReport) {
  TestCheckpoint checkpoint("bert");
  checkpoint.edit("config.json", "\"hidden_size\": 32", "\"hidden_size\": 64");
  const auto findings = check({checkpoint.path(), ""});
  ASSERT_TRUE(findings.ok());
  EXPECT_LT(findings->size(), 30u);
  EXPECT_TRUE(std::any_of(findings->begin(), findings->end(), [](const Finding& f) {
    return f.detail.find("more problems") != std::string::npos;
  }));
}

TEST(BadHeads, MissingFileTensorAndOutputs) {
  TestCheckpoint checkpoint("multi_task");
  const Source source{checkpoint.path(), data_folder() + "/bert"};
  const auto heads = checkpoint.tensors("heads.safetensors");
  checkpoint.remove("heads.safetensors");
  expect_problem(source, StatusCode::not_found, "heads.safetensors", "");

  auto fewer = heads;
  std::erase_if(fewer, [](const RawTensor& t) { return t.name == "intent.bias"; });
  checkpoint.write_tensors("heads.safetensors", fewer);
  expect_problem(source, StatusCode::invalid_input, "tensor is missing", "intent.bias");

  checkpoint.write_tensors("heads.safetensors", heads);
  checkpoint.edit("tasks.json", "\"small_talk\",", "");
  expect_problem(source, StatusCode::invalid_input, "labels do not fit the head", "4 outputs");
}

/// An exit of the task "intent", whose out_of_scope asks for a limit.
void add_exit(TestCheckpoint& checkpoint) {
  checkpoint.edit("tasks.json", "\"name\": \"intent\",",
                  R"("name": "intent", "exits": [{"after_layer": 1, "head": "intent.exit1",
                     "confidence": 0.9, "below": 1.25}],)");
}

TEST(Exits, TakeTheirHeadsFromTheFileOfHeads) {
  TestCheckpoint checkpoint("multi_task");
  const Source source{checkpoint.path(), data_folder() + "/bert"};
  add_exit(checkpoint);
  expect_problem(source, StatusCode::invalid_input, "A tensor is missing", "intent.exit1.weight");

  auto heads = checkpoint.tensors("heads.safetensors");
  std::vector<float> weight(5 * 32), bias = {1, 2, 3, 4, 5};
  for (size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<float>(i);
  heads.push_back(f32_tensor("intent.exit1.weight", {5, 32}, weight));
  heads.push_back(f32_tensor("intent.exit1.bias", {5}, bias));
  checkpoint.write_tensors("heads.safetensors", heads);
  const auto model = load(source);
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_EQ(model->tasks[1].exits.size(), 1u);
  EXPECT_EQ(model->tasks[1].exits[0].weight.values, weight);
  EXPECT_EQ(model->tasks[1].exits[0].bias.values, bias);
  EXPECT_EQ(model->tasks[1].task.exits[0].below, 1.25f);
  EXPECT_TRUE(model->tasks[0].exits.empty());
  const auto findings = check(source);
  ASSERT_TRUE(findings.ok());
  EXPECT_TRUE(std::ranges::any_of(*findings, [](const Finding& f) {
    return f.subject == "task intent" && f.detail.ends_with("exits after layer 1");
  }));

  heads[heads.size() - 2] = f32_tensor("intent.exit1.weight", {4, 32}, std::vector<float>(128));
  checkpoint.write_tensors("heads.safetensors", heads);
  expect_problem(source, StatusCode::invalid_input, "The labels do not fit the head",
                 "intent.exit1.weight");
}

TEST(BadHeads, LabelsOfAClassifier) {
  TestCheckpoint checkpoint("bert_classifier");
  checkpoint.edit("config.json", "\"2\": \"product_search\",",
                  "\"2\": \"product_search\", \"4\": \"more\",");
  expect_problem(checkpoint, StatusCode::invalid_input, "labels do not fit the head", "5 outputs");
}

TEST(Sharded, MistakesInTheIndex) {
  constexpr const char* kIndex = "model.safetensors.index.json";
  constexpr const char* kLine =
      "\"bert.embeddings.LayerNorm.bias\": \"model-00001-of-00003.safetensors\"";
  const auto broken = [&](const std::string& to, StatusCode code, const std::string& what) {
    TestCheckpoint checkpoint("bert_sharded");
    checkpoint.edit(kIndex, kLine, to);
    expect_problem(checkpoint, code, what, "");
  };
  const std::string name = "\"bert.embeddings.LayerNorm.bias\": ";
  broken(name + "\"model-00002-of-00003.safetensors\"", StatusCode::invalid_input,
         "does not place there");
  broken(name + "\"../model.safetensors\"", StatusCode::invalid_input, "outside the folder");
  broken(name + "\"model-00004-of-00004.safetensors\"", StatusCode::not_found, "model-00004");
  broken("\"bert.embeddings.LayerNorm.other\": \"model-00001-of-00003.safetensors\"",
         StatusCode::invalid_input, "does not place there");
  broken(std::string(kLine) + ", \"bert.more\": \"model-00001-of-00003.safetensors\"",
         StatusCode::invalid_input, "lacks a tensor");
  broken(name + "3", StatusCode::invalid_input, "value that it cannot have");
}

TEST(Check, ListsEveryProblemAtOnce) {
  TestCheckpoint checkpoint("multi_task");
  checkpoint.copy("bert");
  checkpoint.edit("config.json", "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"silu\"");
  checkpoint.edit("tasks.json", "-0.68", "\"low\"");
  checkpoint.edit("adapter_config.json", "\"use_dora\": false", "\"use_dora\": true");
  change_tensors(checkpoint,
                 [](std::vector<RawTensor>& tensors) { named(tensors, kQuery).shape = {1024}; });
  const auto findings = check({checkpoint.path(), ""});
  ASSERT_TRUE(findings.ok());
  EXPECT_THAT(problems(*findings),
              AllOf(HasSubstr("architecture: The activation"), HasSubstr("task duplicate: "),
                    HasSubstr("adapter: The adapter setting use_dora"),
                    HasSubstr("weights: A tensor has the wrong shape"),
                    HasSubstr("backbone: This is not the backbone")));
  EXPECT_TRUE(std::any_of(findings->begin(), findings->end(), [](const Finding& f) {
    return f.level == Finding::Level::supported && f.subject == "task intent";
  }));
}

TEST(Check, ReadsTasksAndAdapterOfAForeignArchitecture) {
  TestCheckpoint checkpoint("multi_task");
  checkpoint.copy("bert");
  checkpoint.edit("config.json", "\"BertModel\"", "\"RobertaModel\"");
  checkpoint.edit("adapter_config.json", "\"bias\": \"none\"", "\"bias\": \"all\"");
  const auto findings = check({checkpoint.path(), ""});
  ASSERT_TRUE(findings.ok());
  EXPECT_THAT(problems(*findings),
              AllOf(HasSubstr("RobertaModel"), HasSubstr("adapter setting bias")));
}

TEST(TasksOnAClassifier, UseItsHeadAndOverrideItsKind) {
  TestCheckpoint checkpoint("cross_encoder");
  const auto before = load({checkpoint.path(), ""});
  ASSERT_TRUE(before.ok()) << before.status().message();
  checkpoint.write("tasks.json", R"({"tasks": [
      {"name": "relevance", "kind": "regression", "input": "pair", "max_tokens": 50},
      {"name": "same", "kind": "binary", "input": "text", "labels": ["same"], "threshold": 0.5}]})");
  const auto model = load({checkpoint.path(), ""});
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_EQ(model->tasks.size(), 2u);
  EXPECT_EQ(model->tasks[0].task.kind, model::TaskKind::regression);
  EXPECT_EQ(model->tasks[1].task.input, model::InputKind::text);
  for (const model::TaskWithHead& entry : model->tasks) {
    EXPECT_EQ(entry.task.pooling, model::Pooling::cls);
    ASSERT_TRUE(entry.head && entry.head->dense);
    EXPECT_EQ(entry.head->output.weight.values, before->tasks[0].head->output.weight.values);
  }
  EXPECT_EQ(model->tasks[0].task.max_tokens, 50);
}

TEST(TasksOnAClassifier, HeadsFileGoesBeforeItsHead) {
  TestCheckpoint checkpoint("multi_task");
  checkpoint.remove("adapter_config.json");
  checkpoint.edit("tasks.json", "\"sha256\"", "\"folder\"");
  const auto model = load({checkpoint.path(), data_folder() + "/bert_classifier"});
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_FALSE(model->tasks[0].head->dense);
  EXPECT_EQ(model->tasks[0].task.pooling, model::Pooling::mean);
}

TEST(RealModel, IsSupportedWhole) {
  const std::string folder = TILEWISE_SOURCE_DIR "/examples/product-search/model";
  const char* backbone = std::getenv("TILEWISE_BACKBONE");
  if (!backbone) GTEST_SKIP() << "TILEWISE_BACKBONE is not set to the folder of all-MiniLM-L6-v2";
  const auto findings = check({folder, backbone});
  ASSERT_TRUE(findings.ok()) << findings.status().message();
  EXPECT_EQ(problems(*findings), "");
  const auto model = load({folder, backbone});
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->spec.layers, 6);
  EXPECT_EQ(model->adapter.size(), 36u);
  EXPECT_EQ(model->tasks.size(), 3u);
}

}  // namespace
}  // namespace tilewise::checkpoint
