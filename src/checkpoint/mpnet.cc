// MPNet (Song et al. 2020) as Hugging Face stores it: RoBERTa's positions without token types, and
// in every layer a bias on the attention scores by the distance of two tokens.
#include <array>

#include "checkpoint/bert_like.h"

namespace tilewise::checkpoint {
namespace {

using model::LinearRole;

constexpr std::array<std::string_view, 2> kEncoderArchitectures = {"MPNetModel",
                                                                   "MPNetForMaskedLM"};
// Fixed in Hugging Face's code, whatever config.json says.
constexpr int32_t kPaddingId = 1;
constexpr int32_t kBuckets = 32;
constexpr int32_t kDistance = 128;

class MpNet final : public BertLike {
 public:
  const char* model_type() const override { return "mpnet"; }
  std::span<const std::string_view> encoder_architectures() const override {
    return kEncoderArchitectures;
  }
  std::string_view classifier_architecture() const override {
    return "MPNetForSequenceClassification";
  }
  std::string_view prefix() const override { return "mpnet."; }
  std::string_view classifier_dense_name() const override { return kProjectedHeadDense; }
  std::string_view classifier_output_name() const override { return kProjectedHeadOutput; }

  model::EncoderSpec read_spec(const JsonObject& config) const override {
    constexpr const char* kKey = "relative_attention_num_buckets";
    model::EncoderSpec spec = read_bert_spec(config);
    if (config.has(kKey)) config.integer(kKey, kBuckets, kBuckets);
    spec.relative_buckets = kBuckets;
    spec.relative_distance = kDistance;
    return spec;
  }

  int32_t first_position(const JsonObject& /*config*/) const override { return kPaddingId + 1; }

  void read_embeddings(const JsonObject& config, const model::EncoderSpec& spec,
                       const std::string& prefix, TensorReader& tensors,
                       model::EncoderWeights& weights) const override {
    Family::read_embeddings(config, spec, prefix, tensors, weights);
    weights.relative_bias = tensors.tensor(prefix + "encoder.relative_attention_bias.weight",
                                           {spec.relative_buckets, spec.heads});
  }

  std::string linear_name(int32_t layer, LinearRole role) const override {
    switch (role) {
      case LinearRole::query:
        return layer_name(layer, "attention.attn.q");
      case LinearRole::key:
        return layer_name(layer, "attention.attn.k");
      case LinearRole::value:
        return layer_name(layer, "attention.attn.v");
      case LinearRole::attention_output:
        return layer_name(layer, "attention.attn.o");
      default:
        return BertLike::linear_name(layer, role);
    }
  }
  std::string attention_norm_name(int32_t layer) const override {
    return layer_name(layer, "attention.LayerNorm");
  }

  model::Head read_classifier(const JsonObject& /*config*/, const model::EncoderSpec& spec,
                              int32_t outputs, const std::string& /*prefix*/,
                              TensorReader& tensors) const override {
    return read_projected_head(spec, outputs, model::Activation::tanh, tensors);
  }
};

}  // namespace

const Family& mpnet_family() {
  static const MpNet family;
  return family;
}

}  // namespace tilewise::checkpoint
