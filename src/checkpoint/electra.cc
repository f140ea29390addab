// ELECTRA (Clark et al. 2020) as Hugging Face stores it: BERT with embeddings of another width and
// a head of its own. Discriminators and generators are the same encoder.
#include <array>

#include "checkpoint/bert_like.h"

namespace tilewise::checkpoint {
namespace {

constexpr std::array<std::string_view, 3> kEncoderArchitectures = {
    "ElectraModel", "ElectraForPreTraining", "ElectraForMaskedLM"};
constexpr std::array<std::string_view, 3> kEncoderGroups = {"embeddings.", "embeddings_project.",
                                                            "encoder."};
constexpr int32_t kEmbeddingSize = 128;  // Hugging Face's default
constexpr int32_t kMaxEmbeddingSize = 1 << 14;

class Electra final : public BertLike {
 public:
  const char* model_type() const override { return "electra"; }
  std::span<const std::string_view> encoder_architectures() const override {
    return kEncoderArchitectures;
  }
  std::string_view classifier_architecture() const override {
    return "ElectraForSequenceClassification";
  }
  std::string_view prefix() const override { return "electra."; }
  std::span<const std::string_view> encoder_tensor_groups() const override {
    return kEncoderGroups;
  }
  std::string_view classifier_dense_name() const override { return kProjectedHeadDense; }
  std::string_view classifier_output_name() const override { return kProjectedHeadOutput; }

  model::EncoderSpec read_spec(const JsonObject& config) const override {
    constexpr const char* kKey = "embedding_size";
    model::EncoderSpec spec = read_bert_spec(config);
    spec.token_types = read_token_types(config);
    const int32_t width =
        config.has(kKey) ? config.integer(kKey, 1, kMaxEmbeddingSize).value_or(0) : kEmbeddingSize;
    spec.embedding_size = width == spec.hidden ? 0 : width;
    return spec;
  }

  void read_embeddings(const JsonObject& config, const model::EncoderSpec& spec,
                       const std::string& prefix, TensorReader& tensors,
                       model::EncoderWeights& weights) const override {
    Family::read_embeddings(config, spec, prefix, tensors, weights);
    if (spec.embedding_size == 0) return;
    weights.embedding_projection =
        tensors.linear(prefix + "embeddings_project", spec.hidden, spec.embedding_size);
  }

  model::Head read_classifier(const JsonObject& /*config*/, const model::EncoderSpec& spec,
                              int32_t outputs, const std::string& /*prefix*/,
                              TensorReader& tensors) const override {
    return read_projected_head(spec, outputs, model::Activation::gelu_erf, tensors);
  }
};

}  // namespace

const Family& electra_family() {
  static const Electra family;
  return family;
}

}  // namespace tilewise::checkpoint
