// BERT (Devlin et al. 2018) as Hugging Face stores it: BertModel and BertForSequenceClassification.
#include <array>

#include "checkpoint/family.h"

namespace tilewise::checkpoint {
namespace {

using model::LinearRole;

constexpr std::array<std::string_view, 3> kEncoderArchitectures = {
    "BertModel", "BertForPreTraining", "BertForMaskedLM"};
constexpr std::array<std::string_view, 2> kEncoderGroups = {"embeddings.", "encoder."};
constexpr int32_t kMaxTokenTypes = 1 << 10;

class Bert final : public Family {
 public:
  const char* model_type() const override { return "bert"; }
  std::span<const std::string_view> encoder_architectures() const override {
    return kEncoderArchitectures;
  }
  std::string_view classifier_architecture() const override {
    return "BertForSequenceClassification";
  }
  std::string_view prefix() const override { return "bert."; }
  std::span<const std::string_view> encoder_tensor_groups() const override {
    return kEncoderGroups;
  }
  std::string_view classifier_dense_name() const override { return "pooler.dense"; }

  model::EncoderSpec read_spec(const JsonObject& config) const override {
    model::EncoderSpec spec =
        read_common_spec(config, *this,
                         {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                          "intermediate_size", "max_position_embeddings", "hidden_act"});
    spec.token_types = config.has("type_vocab_size")
                           ? config.integer("type_vocab_size", 1, kMaxTokenTypes).value_or(0)
                           : 2;
    spec.norm_epsilon = read_epsilon(config);
    const std::string positions = config.string("position_embedding_type").value_or("absolute");
    if (positions != "absolute") {
      config.problem(
          unsupported({"The position scheme is not supported",
                       config.where("position_embedding_type"), "absolute", positions, ""}));
    }
    for (const char* key : {"is_decoder", "add_cross_attention"}) {
      if (config.is_set(key)) {
        config.problem(unsupported(
            {"A decoder is not supported", config.where(key), "false", config.text_of(key), ""}));
      }
    }
    return spec;
  }

  std::string linear_name(int32_t layer, LinearRole role) const override {
    switch (role) {
      case LinearRole::query:
        return layer_name(layer, "attention.self.query");
      case LinearRole::key:
        return layer_name(layer, "attention.self.key");
      case LinearRole::value:
        return layer_name(layer, "attention.self.value");
      case LinearRole::attention_output:
        return layer_name(layer, "attention.output.dense");
      case LinearRole::ffn_up:
        return layer_name(layer, "intermediate.dense");
      case LinearRole::ffn_down:
        return layer_name(layer, "output.dense");
    }
    return {};
  }
  std::string attention_norm_name(int32_t layer) const override {
    return layer_name(layer, "attention.output.LayerNorm");
  }
  std::string ffn_norm_name(int32_t layer) const override {
    return layer_name(layer, "output.LayerNorm");
  }

  /// logits = classifier(tanh(pooler([CLS])))
  model::Head read_classifier(const model::EncoderSpec& spec, int32_t outputs,
                              const std::string& prefix, TensorReader& tensors) const override {
    model::Head head;
    head.dense = {tensors.linear(prefix + "pooler.dense", spec.hidden, spec.hidden),
                  model::Activation::tanh};
    head.output = tensors.linear("classifier", outputs, spec.hidden);
    return head;
  }

 private:
  static std::string layer_name(int32_t layer, const char* part) {
    return "encoder.layer." + std::to_string(layer) + "." + part;
  }

  static float read_epsilon(const JsonObject& config) {
    constexpr double kDefault = 1e-12;  // Hugging Face's
    const double epsilon = config.number("layer_norm_eps").value_or(kDefault);
    if (epsilon > 0 && epsilon < 1) return static_cast<float>(epsilon);
    config.wrong("layer_norm_eps", "a number between 0 and 1");
    return static_cast<float>(kDefault);
  }
};

}  // namespace

const Family& bert_family() {
  static const Bert family;
  return family;
}

}  // namespace tilewise::checkpoint
