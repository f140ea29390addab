// What config.json may say of each family: what it changes, and what is refused.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/test_checkpoint.h"

namespace tilewise::checkpoint {
namespace {

using model::LinearRole;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kConfig = "config.json";

struct BadSetting {
  const char* name;
  const char* folder;
  const char* from;
  const char* to;
  StatusCode code;
  const char* what;
  const char* detail;
};
void PrintTo(const BadSetting& bad, std::ostream* out) { *out << bad.name; }

class BadSettings : public testing::TestWithParam<BadSetting> {};

TEST_P(BadSettings, AreRefused) {
  const BadSetting& bad = GetParam();
  TestCheckpoint checkpoint(bad.folder);
  checkpoint.edit(kConfig, bad.from, bad.to);
  const auto model = load({checkpoint.path(), ""});
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), bad.code);
  EXPECT_THAT(model.status().message(), AllOf(HasSubstr(bad.what), HasSubstr(bad.detail)));
}

constexpr auto kUnsupported = StatusCode::unsupported;
constexpr auto kInvalid = StatusCode::invalid_input;
constexpr const char* kSliding = "\"sliding_attention\",\n    \"full_attention\"";

const BadSetting kBadSettings[] = {
    {"deberta", "bert", "\"model_type\": \"bert\"", "\"model_type\": \"deberta-v2\"", kUnsupported,
     "DeBERTa is not supported", "deberta-v2"},
    {"electra_without_room", "electra_classifier", "\"embedding_size\": 20",
     "\"embedding_size\": 0", kInvalid, "value that it cannot have", "embedding_size"},
    {"electra_of_another_width", "electra_classifier", "\"embedding_size\": 20",
     "\"embedding_size\": 24", kInvalid, "wrong shape", "[126, 24]"},
    {"electra_of_one_width", "electra_classifier", "\"embedding_size\": 20",
     "\"embedding_size\": 36", kInvalid, "wrong shape", "[126, 36]"},
    {"roberta_decoder", "roberta_classifier", "\"is_decoder\": false", "\"is_decoder\": true",
     kUnsupported, "decoder is not supported", "is_decoder"},
    {"roberta_padding", "roberta_classifier", "\"pad_token_id\": 1", "\"pad_token_id\": -1",
     kInvalid, "value that it cannot have", "pad_token_id"},
    {"roberta_all_padding", "roberta_classifier", "\"pad_token_id\": 1", "\"pad_token_id\": 64",
     kInvalid, "value that it cannot have", "max_position_embeddings"},
    {"roberta_types", "roberta_classifier", "\"type_vocab_size\": 1", "\"type_vocab_size\": 2",
     kInvalid, "wrong shape", "token_type_embeddings"},
    {"mpnet_buckets", "mpnet_classifier", "\"relative_attention_num_buckets\": 32",
     "\"relative_attention_num_buckets\": 64", kInvalid, "value that it cannot have",
     "relative_attention_num_buckets"},
    {"modernbert_attention_bias", "modernbert_classifier", "\"attention_bias\": false",
     "\"attention_bias\": true", kUnsupported, "bias in the encoder", "attention_bias"},
    {"modernbert_mlp_bias", "modernbert_classifier", "\"mlp_bias\": false", "\"mlp_bias\": true",
     kUnsupported, "bias in the encoder", "mlp_bias"},
    {"modernbert_norm_bias", "modernbert_classifier", "\"norm_bias\": false", "\"norm_bias\": true",
     kUnsupported, "bias in the encoder", "norm_bias"},
    {"modernbert_classifier_bias", "modernbert_classifier", "\"classifier_bias\": false",
     "\"classifier_bias\": true", kInvalid, "tensor is missing", "head.dense.bias"},
    {"modernbert_classifier_activation", "modernbert_classifier",
     "\"classifier_activation\": \"gelu\"", "\"classifier_activation\": \"silu\"", kUnsupported,
     "activation of the classifier", "silu"},
    {"modernbert_pooling", "modernbert_classifier", "\"classifier_pooling\": \"mean\"",
     "\"classifier_pooling\": \"max\"", kInvalid, "value that it cannot have",
     "classifier_pooling"},
    {"modernbert_activation", "modernbert_classifier", "\"hidden_activation\": \"gelu\"",
     "\"hidden_activation\": \"gelu_new\"", kUnsupported, "activation of the encoder", "gelu_new"},
    {"modernbert_order", "modernbert_classifier", kSliding,
     "\"full_attention\",\n    \"full_attention\"", kUnsupported, "order of layers", "layer_types"},
    {"modernbert_kinds", "modernbert_classifier", kSliding, "\"sliding_attention\",\n    \"other\"",
     kUnsupported, "order of layers", "layer_types"},
    {"modernbert_scaling", "modernbert_classifier", "\"rope_theta\": 160000.0,",
     "\"rope_theta\": 160000.0, \"factor\": 4.0,", kUnsupported, "Scaled rotary positions",
     "factor"},
    {"modernbert_rope_type", "modernbert_classifier",
     "\"rope_theta\": 10000.0,\n      \"rope_type\": \"default\"",
     "\"rope_theta\": 10000.0,\n      \"rope_type\": \"yarn\"", kUnsupported,
     "Scaled rotary positions", "yarn"},
    {"modernbert_theta", "modernbert_classifier", "\"rope_theta\": 160000.0", "\"rope_theta\": 0.5",
     kInvalid, "value that it cannot have", "rope_theta"},
    {"modernbert_head_dim", "modernbert_classifier", "\"hidden_size\": 36",
     "\"head_dim\": 8, \"hidden_size\": 36", kInvalid, "value that it cannot have", "head_dim"},
    {"modernbert_odd_heads", "modernbert_classifier", "\"num_attention_heads\": 3",
     "\"num_attention_heads\": 12", kInvalid, "turn pairs of numbers", "num_attention_heads"},
    {"modernbert_window", "modernbert_classifier", "\"local_attention\": 16",
     "\"local_attention\": 1", kInvalid, "value that it cannot have", "local_attention"},
};
INSTANTIATE_TEST_SUITE_P(, BadSettings, testing::ValuesIn(kBadSettings),
                         [](const auto& bad) { return std::string(bad.param.name); });

TEST(Families, PositionsBehindThePaddingAreCounted) {
  for (const char* folder : {"roberta_classifier", "xlm_roberta_cross_encoder"}) {
    const auto model = load({data_folder() + "/" + folder, ""});
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(model->spec.max_positions, 64);
    EXPECT_EQ(model->spec.token_types, 0);
    EXPECT_EQ(model->weights.position_embeddings.shape, (std::vector<int64_t>{64, 36}));
    EXPECT_EQ(model->tasks[0].task.max_tokens, 64);
  }
}

TEST(Families, CamembertIsRoberta) {
  TestCheckpoint checkpoint("roberta_classifier");
  checkpoint.edit(kConfig, "\"roberta\"", "\"camembert\"");
  checkpoint.edit(kConfig, "RobertaForSequenceClassification",
                  "CamembertForSequenceClassification");
  const auto model = load({checkpoint.path(), ""});
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->spec.family, "camembert");
}

// The tokenizer gives the second text the second type, and the golden logits need it.
TEST(Families, SeveralTokenTypesAreKept) {
  const auto model = load({data_folder() + "/camembert_pairs", ""});
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->spec.token_types, 2);
  EXPECT_EQ(model->weights.type_embeddings.shape, (std::vector<int64_t>{2, 64}));
}

// As the files of 2024 spell it: every third layer, and two thetas.
TEST(Families, OlderSpellingOfModernBert) {
  const auto expected = load({data_folder() + "/modernbert_classifier", ""});
  ASSERT_TRUE(expected.ok()) << expected.status().message();
  TestCheckpoint checkpoint("modernbert_classifier");
  std::string config = checkpoint.read(kConfig);
  const size_t types = config.find("\"layer_types\"");
  config.replace(types, config.find(']', types) + 1 - types, "\"global_attn_every_n_layers\": 3");
  const size_t rope = config.find("\"rope_parameters\"");
  config.replace(rope, config.find("},\n  \"sep_token_id\"") + 1 - rope,
                 "\"global_rope_theta\": 160000.0, \"local_rope_theta\": 10000.0");
  checkpoint.write(kConfig, config);
  const auto model = load({checkpoint.path(), ""});
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->spec, expected->spec);
  EXPECT_EQ(model->spec.window, 8);
  EXPECT_EQ(model->spec.global_every, 3);
}

TEST(Families, ModernBertWithoutLocalLayers) {
  TestCheckpoint checkpoint("modernbert_classifier");
  std::string config = checkpoint.read(kConfig);
  for (size_t at = 0; (at = config.find("\"sliding_attention\",", at)) != std::string::npos;) {
    config.replace(at, 20, "\"full_attention\",");
  }
  checkpoint.write(kConfig, config);
  const auto model = load({checkpoint.path(), ""});
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->spec.window, 0);
  EXPECT_EQ(model->spec.global_every, 1);
  EXPECT_EQ(model->spec.rotary_base_local, 0);
}

// PEFT has one pair of tensors for the fused layer; A is shared, B's rows are divided.
TEST(Families, AdapterOnAFusedLayer) {
  const std::string backbone = data_folder() + "/modernbert_classifier";
  TestCheckpoint checkpoint("modernbert_lora");
  const auto model = load({checkpoint.path(), backbone});
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_EQ(model->adapter.size(), 24u);
  const auto tensors = checkpoint.tensors("adapter_model.safetensors");
  const auto fused = std::find_if(tensors.begin(), tensors.end(), [](const RawTensor& t) {
    return t.name.find("layers.0.attn.Wqkv.lora_B") != std::string::npos;
  });
  ASSERT_NE(fused, tensors.end());
  EXPECT_EQ(fused->shape, (std::vector<int64_t>{108, 4}));
  std::string bytes;
  for (size_t i = 0; i < 3; ++i) {
    const model::LoraUpdate& update = model->adapter[i];
    EXPECT_EQ(update.b.shape, (std::vector<int64_t>{36, 4}));
    EXPECT_EQ(update.a.values, model->adapter[0].a.values);
    bytes.append(reinterpret_cast<const char*>(update.b.values.data()), 36 * 4 * sizeof(float));
  }
  EXPECT_EQ(bytes, fused->bytes);
  EXPECT_EQ(model->adapter[4].role, LinearRole::ffn_up);
  EXPECT_EQ(model->adapter[4].b.shape, (std::vector<int64_t>{88, 4}));
}

TEST(Families, TasksOnModernBertsClassifierPoolLikeIt) {
  TestCheckpoint checkpoint("modernbert_classifier");
  checkpoint.write("tasks.json", R"({"tasks": [
      {"name": "intent", "kind": "multiclass", "input": "text", "labels": ["a", "b", "c"]}]})");
  const auto model = load({checkpoint.path(), ""});
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->tasks[0].task.pooling, model::Pooling::mean);
  EXPECT_TRUE(model->tasks[0].head->dense->norm);
}

}  // namespace
}  // namespace tilewise::checkpoint
