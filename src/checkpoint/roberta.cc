// RoBERTa (Liu et al. 2019) as Hugging Face stores it, and what is the same model under other
// names: XLM-R (Conneau et al. 2020) and CamemBERT (Martin et al. 2020). BERT whose positions are
// counted from behind the padding's row, and whose tokens mostly have one type.
#include <array>

#include "checkpoint/bert_like.h"

namespace tilewise::checkpoint {
namespace {

constexpr int32_t kPaddingId = 1;  // Hugging Face's default
constexpr int32_t kMaxPaddingId = 1 << 20;

/// How one of them is called.
struct Names {
  const char* model_type;
  std::array<std::string_view, 2> encoders;
  std::string_view classifier;
};

constexpr Names kRoberta = {
    "roberta", {"RobertaModel", "RobertaForMaskedLM"}, "RobertaForSequenceClassification"};
constexpr Names kXlmRoberta = {"xlm-roberta",
                               {"XLMRobertaModel", "XLMRobertaForMaskedLM"},
                               "XLMRobertaForSequenceClassification"};
constexpr Names kCamembert = {
    "camembert", {"CamembertModel", "CamembertForMaskedLM"}, "CamembertForSequenceClassification"};

class Roberta final : public BertLike {
 public:
  explicit Roberta(const Names& names) : names_(names) {}

  const char* model_type() const override { return names_.model_type; }
  std::span<const std::string_view> encoder_architectures() const override {
    return names_.encoders;
  }
  std::string_view classifier_architecture() const override { return names_.classifier; }
  std::string_view prefix() const override { return "roberta."; }
  std::string_view classifier_dense_name() const override { return kProjectedHeadDense; }
  std::string_view classifier_output_name() const override { return kProjectedHeadOutput; }

  /// Of several types it is the tokenizer that chooses: RoBERTa's own gives all tokens the first.
  model::EncoderSpec read_spec(const JsonObject& config) const override {
    model::EncoderSpec spec = read_bert_spec(config);
    const int32_t types = read_token_types(config);
    spec.token_types = types > 1 ? types : 0;
    return spec;
  }

  int32_t first_position(const JsonObject& config) const override {
    constexpr const char* kKey = "pad_token_id";
    const int32_t padding =
        config.has(kKey) ? config.integer(kKey, 0, kMaxPaddingId).value_or(kPaddingId) : kPaddingId;
    return padding + 1;
  }

  /// A type that is the only one is added to the positions, since every token gets it.
  void read_embeddings(const JsonObject& config, const model::EncoderSpec& spec,
                       const std::string& prefix, TensorReader& tensors,
                       model::EncoderWeights& weights) const override {
    Family::read_embeddings(config, spec, prefix, tensors, weights);
    if (spec.token_types > 0) return;
    const model::Tensor types =
        tensors.tensor(prefix + "embeddings.token_type_embeddings.weight", {1, spec.hidden});
    if (types.values.empty()) return;
    std::vector<float>& positions = weights.position_embeddings.values;
    const auto width = static_cast<size_t>(spec.hidden);
    for (size_t i = 0; i < positions.size(); ++i) positions[i] += types.values[i % width];
  }

  model::Head read_classifier(const JsonObject& /*config*/, const model::EncoderSpec& spec,
                              int32_t outputs, const std::string& /*prefix*/,
                              TensorReader& tensors) const override {
    return read_projected_head(spec, outputs, model::Activation::tanh, tensors);
  }

 private:
  const Names& names_;
};

}  // namespace

const Family& roberta_family() {
  static const Roberta family(kRoberta);
  return family;
}

const Family& xlm_roberta_family() {
  static const Roberta family(kXlmRoberta);
  return family;
}

const Family& camembert_family() {
  static const Roberta family(kCamembert);
  return family;
}

}  // namespace tilewise::checkpoint
