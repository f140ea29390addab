#include "checkpoint/adapter.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/test_checkpoint.h"

namespace tilewise::checkpoint {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::string kA = "base_model.model.encoder.layer.0.attention.self.query.lora_A.weight";
const std::string kB = "base_model.model.encoder.layer.0.attention.self.query.lora_B.weight";

class Adapter : public testing::Test {
 protected:
  Source source() const { return {checkpoint_.path(), data_folder() + "/bert"}; }
  void expect_refused(StatusCode code, const std::string& what, const std::string& detail) {
    const auto model = load(source());
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.status().code(), code);
    EXPECT_THAT(model.status().message(), AllOf(HasSubstr(what), HasSubstr(detail)));
  }
  template <class Change>
  void change_tensors(Change change) {
    auto tensors = checkpoint_.tensors(kAdapterWeights);
    change(tensors);
    checkpoint_.write_tensors(kAdapterWeights, tensors);
  }
  void rename(const std::string& from, const std::string& to) {
    change_tensors([&](std::vector<RawTensor>& tensors) {
      for (RawTensor& t : tensors) {
        if (const size_t at = t.name.find(from); at != std::string::npos)
          t.name.replace(at, from.size(), to);
      }
    });
  }

  TestCheckpoint checkpoint_{"multi_task"};
};

TEST_F(Adapter, RankStabilisedScale) {
  checkpoint_.edit(kAdapterConfig, "\"use_rslora\": false", "\"use_rslora\": true");
  const auto model = load(source());
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_FLOAT_EQ(model->adapter[0].scale, 3.0f);  // 6 / sqrt(4)
}

TEST_F(Adapter, UpdatesFollowLayersAndRoles) {
  const auto model = load(source());
  ASSERT_TRUE(model.ok());
  ASSERT_EQ(model->adapter.size(), 12u);
  EXPECT_EQ(model->adapter[4].role, model::LinearRole::ffn_up);
  EXPECT_EQ(model->adapter[4].b.shape, (std::vector<int64_t>{64, 4}));
  EXPECT_EQ(model->adapter[4].a.shape, (std::vector<int64_t>{4, 32}));
  EXPECT_EQ(model->adapter[11].layer, 1);
  EXPECT_EQ(model->adapter[11].role, model::LinearRole::ffn_down);
}

TEST_F(Adapter, OtherSpellingsOfTensorNames) {
  const auto before = load(source());
  rename("base_model.model.", "base_model.model.bert.");
  rename(".lora_A.weight", ".lora_A.default.weight");
  rename(".lora_B.weight", ".lora_B.default.weight");
  const auto after = load(source());
  ASSERT_TRUE(after.ok()) << after.status().message();
  ASSERT_EQ(after->adapter.size(), before->adapter.size());
  EXPECT_EQ(after->adapter[7].a.values, before->adapter[7].a.values);
}

TEST_F(Adapter, AllLinear) {
  checkpoint_.edit(kAdapterConfig,
                   "[\n    \"dense\",\n    \"key\",\n    \"query\",\n    \"value\"\n  ]",
                   "\"all-linear\"");
  EXPECT_TRUE(load(source()).ok());
}

void add_pooler(std::vector<RawTensor>& tensors) {
  tensors.push_back(
      f32_tensor("base_model.model.pooler.dense.lora_A.weight", {4, 32}, std::vector<float>(128)));
  tensors.push_back(
      f32_tensor("base_model.model.pooler.dense.lora_B.weight", {32, 4}, std::vector<float>(128)));
}

void expect_pooler_left_aside(const Source& source) {
  const auto model = load(source);
  EXPECT_TRUE(model.ok()) << model.status().message();
  const auto findings = check(source);
  ASSERT_TRUE(findings.ok());
  EXPECT_TRUE(std::any_of(findings->begin(), findings->end(), [](const Finding& f) {
    return f.level == Finding::Level::note && f.detail.find("pooler.dense") != std::string::npos;
  }));
}

TEST_F(Adapter, UnusedPoolerIsLeftAside) {
  change_tensors(add_pooler);
  expect_pooler_left_aside(source());
}

// Its classifier has a dense layer of another name.
TEST_F(Adapter, UnusedPoolerOfRobertaIsLeftAside) {
  change_tensors(add_pooler);
  TestCheckpoint backbone("bert");
  backbone.edit("config.json", "\"bert\"", "\"roberta\"");
  backbone.edit("config.json", "BertModel", "RobertaModel");
  expect_pooler_left_aside({checkpoint_.path(), backbone.path()});
}

TEST_F(Adapter, OnABareEncoderChangesItsEmbedding) {
  checkpoint_.remove("tasks.json");
  const auto model = load(source());
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_EQ(model->tasks.size(), 1u);
  EXPECT_EQ(model->tasks[0].task.name, "embedding");
  EXPECT_EQ(model->adapter.size(), 12u);
}

struct Variant {
  const char* name;
  const char* from;
  const char* to;
};
void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

class Variants : public Adapter, public testing::WithParamInterface<Variant> {};

TEST_P(Variants, AreRefusedByName) {
  checkpoint_.edit(kAdapterConfig, GetParam().from, GetParam().to);
  expect_refused(StatusCode::unsupported,
                 "adapter setting " + std::string(GetParam().name) + " is not supported",
                 kAdapterConfig);
}

const Variant kVariants[] = {
    {"peft_type", "\"peft_type\": \"LORA\"", "\"peft_type\": \"IA3\""},
    {"use_dora", "\"use_dora\": false", "\"use_dora\": true"},
    {"rank_pattern", "\"rank_pattern\": {}", "\"rank_pattern\": {\"query\": 8}"},
    {"alpha_pattern", "\"alpha_pattern\": {}", "\"alpha_pattern\": {\"query\": 8}"},
    {"fan_in_fan_out", "\"fan_in_fan_out\": false", "\"fan_in_fan_out\": true"},
    {"modules_to_save", "\"modules_to_save\": null", "\"modules_to_save\": [\"classifier\"]"},
    {"bias", "\"bias\": \"none\"", "\"bias\": \"lora_only\""},
    {"lora_bias", "\"lora_bias\": false", "\"lora_bias\": true"},
    {"layers_to_transform", "\"layers_to_transform\": null", "\"layers_to_transform\": [0]"},
    {"layer_replication", "\"layer_replication\": null", "\"layer_replication\": [[0, 1]]"},
    {"exclude_modules", "\"exclude_modules\": null", "\"exclude_modules\": [\"pooler\"]"},
    {"trainable_token_indices", "\"trainable_token_indices\": null",
     "\"trainable_token_indices\": [1]"},
    {"target_parameters", "\"target_parameters\": null", "\"target_parameters\": [\"weight\"]"},
    {"use_qalora", "\"use_qalora\": false", "\"use_qalora\": true"},
    {"init_lora_weights", "\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa\""},
    {"target_modules",
     "\"target_modules\": [\n    \"dense\",\n    \"key\",\n    \"query\",\n    \"value\"\n  ]",
     "\"target_modules\": \".*query\""},
    {"use_something_new", "\"use_dora\": false", "\"use_something_new\": true"},
};
INSTANTIATE_TEST_SUITE_P(, Variants, testing::ValuesIn(kVariants),
                         [](const auto& v) { return std::string(v.param.name); });

TEST_F(Adapter, RankAndAlphaMustBeThere) {
  checkpoint_.edit(kAdapterConfig, "\"r\": 4", "\"r\": 0");
  expect_refused(StatusCode::invalid_input, "value that it cannot have", ": r");
  checkpoint_.edit(kAdapterConfig, "\"r\": 0", "\"r\": 4");
  checkpoint_.edit(kAdapterConfig, "\"lora_alpha\": 6,", "");
  expect_refused(StatusCode::invalid_input, "field is missing", "lora_alpha");
}

TEST_F(Adapter, OtherRankThanTheTensors) {
  checkpoint_.edit(kAdapterConfig, "\"r\": 4", "\"r\": 8");
  expect_refused(StatusCode::invalid_input, "wrong shape", "[8, 32]");
}

TEST_F(Adapter, MissingFile) {
  checkpoint_.remove(kAdapterWeights);
  expect_refused(StatusCode::not_found, "", kAdapterWeights);
}

TEST_F(Adapter, HalfAPair) {
  change_tensors([](auto& tensors) {
    std::erase_if(tensors, [](const RawTensor& t) { return t.name == kB; });
  });
  expect_refused(StatusCode::invalid_input, "tensor is missing", kB);
}

TEST_F(Adapter, TargetWithoutTensors) {
  change_tensors([](auto& tensors) {
    std::erase_if(tensors, [](const RawTensor& t) { return t.name == kA || t.name == kB; });
  });
  expect_refused(StatusCode::invalid_input, "tensor of the adapter is missing",
                 "encoder.layer.0.attention.self.query");
}

TEST_F(Adapter, TensorsOfSomethingElse) {
  change_tensors([](auto& tensors) {
    tensors.push_back(f32_tensor("base_model.model.embeddings.lora_embedding_A", {1}, {0}));
  });
  expect_refused(StatusCode::unsupported, "not a linear layer", "lora_embedding_A");
}

TEST_F(Adapter, LayersThatTheBackboneDoesNotHave) {
  rename("layer.1.", "layer.2.");
  expect_refused(StatusCode::invalid_input, "tensor of the adapter is missing", "encoder.layer.1.");
}

TEST_F(Adapter, BackboneWithAnAdapterOfItsOwn) {
  TestCheckpoint backbone("bert");
  backbone.write(kAdapterConfig, "{}");
  const auto model = load({checkpoint_.path(), backbone.path()});
  ASSERT_FALSE(model.ok());
  EXPECT_THAT(model.status().message(), HasSubstr("adapter of its own"));
}

}  // namespace
}  // namespace tilewise::checkpoint
