// BERT (Devlin et al. 2018) as Hugging Face stores it: BertModel and BertForSequenceClassification.
#include <array>

#include "checkpoint/bert_like.h"

namespace tilewise::checkpoint {
namespace {

constexpr std::array<std::string_view, 3> kEncoderArchitectures = {
    "BertModel", "BertForPreTraining", "BertForMaskedLM"};

class Bert final : public BertLike {
 public:
  const char* model_type() const override { return "bert"; }
  std::span<const std::string_view> encoder_architectures() const override {
    return kEncoderArchitectures;
  }
  std::string_view classifier_architecture() const override {
    return "BertForSequenceClassification";
  }
  std::string_view prefix() const override { return "bert."; }
  std::string_view classifier_dense_name() const override { return "pooler.dense"; }
  std::string_view classifier_output_name() const override { return "classifier"; }

  model::EncoderSpec read_spec(const JsonObject& config) const override {
    model::EncoderSpec spec = read_bert_spec(config);
    spec.token_types = read_token_types(config);
    return spec;
  }

  /// logits = classifier(tanh(pooler([CLS])))
  model::Head read_classifier(const JsonObject& /*config*/, const model::EncoderSpec& spec,
                              int32_t outputs, const std::string& prefix,
                              TensorReader& tensors) const override {
    model::Head head;
    head.dense = {tensors.linear(prefix + "pooler.dense", spec.hidden, spec.hidden),
                  model::Activation::tanh};
    head.output = tensors.linear("classifier", outputs, spec.hidden);
    return head;
  }
};

}  // namespace

const Family& bert_family() {
  static const Bert family;
  return family;
}

}  // namespace tilewise::checkpoint
