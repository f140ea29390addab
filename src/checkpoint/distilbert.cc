// DistilBERT (Sanh et al. 2019) as Hugging Face stores it: BERT without token types and pooler,
// under other names.
#include <array>

#include "checkpoint/family.h"

namespace tilewise::checkpoint {
namespace {

using model::LinearRole;

constexpr std::array<std::string_view, 2> kEncoderArchitectures = {"DistilBertModel",
                                                                   "DistilBertForMaskedLM"};
constexpr std::array<std::string_view, 2> kEncoderGroups = {"embeddings.", "transformer."};

class DistilBert final : public Family {
 public:
  const char* model_type() const override { return "distilbert"; }
  std::span<const std::string_view> encoder_architectures() const override {
    return kEncoderArchitectures;
  }
  std::string_view classifier_architecture() const override {
    return "DistilBertForSequenceClassification";
  }
  std::string_view prefix() const override { return "distilbert."; }
  std::span<const std::string_view> encoder_tensor_groups() const override {
    return kEncoderGroups;
  }
  std::string_view classifier_dense_name() const override { return "pre_classifier"; }
  std::string_view classifier_output_name() const override { return "classifier"; }

  model::EncoderSpec read_spec(const JsonObject& config) const override {
    // Sinusoidal positions need nothing of their own: the checkpoint holds them as a table.
    model::EncoderSpec spec =
        read_common_spec(config, *this,
                         {"vocab_size", "dim", "n_layers", "n_heads", "hidden_dim",
                          "max_position_embeddings", "activation"});
    spec.token_types = 0;
    spec.norm_epsilon = 1e-12f;  // fixed in Hugging Face's code
    return spec;
  }

  std::string linear_name(int32_t layer, LinearRole role) const override {
    switch (role) {
      case LinearRole::query:
        return layer_name(layer, "attention.q_lin");
      case LinearRole::key:
        return layer_name(layer, "attention.k_lin");
      case LinearRole::value:
        return layer_name(layer, "attention.v_lin");
      case LinearRole::attention_output:
        return layer_name(layer, "attention.out_lin");
      case LinearRole::ffn_up:
        return layer_name(layer, "ffn.lin1");
      case LinearRole::ffn_down:
        return layer_name(layer, "ffn.lin2");
    }
    return {};
  }
  std::string attention_norm_name(int32_t layer) const override {
    return layer_name(layer, "sa_layer_norm");
  }
  std::string ffn_norm_name(int32_t layer) const override {
    return layer_name(layer, "output_layer_norm");
  }

  /// logits = classifier(relu(pre_classifier([CLS])))
  model::Head read_classifier(const JsonObject& /*config*/, const model::EncoderSpec& spec,
                              int32_t outputs, const std::string& /*prefix*/,
                              TensorReader& tensors) const override {
    model::Head head;
    head.dense = {tensors.linear("pre_classifier", spec.hidden, spec.hidden),
                  model::Activation::relu};
    head.output = tensors.linear("classifier", outputs, spec.hidden);
    return head;
  }

 private:
  static std::string layer_name(int32_t layer, const char* part) {
    return "transformer.layer." + std::to_string(layer) + "." + part;
  }
};

}  // namespace

const Family& distilbert_family() {
  static const DistilBert family;
  return family;
}

}  // namespace tilewise::checkpoint
