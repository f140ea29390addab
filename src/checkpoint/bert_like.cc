#include "checkpoint/bert_like.h"

#include <array>

namespace tilewise::checkpoint {

using model::LinearRole;

namespace {

constexpr std::array<std::string_view, 2> kEncoderGroups = {"embeddings.", "encoder."};
constexpr int32_t kMaxTokenTypes = 1 << 10;
constexpr int32_t kTokenTypes = 2;      // Hugging Face's default
constexpr float kNormEpsilon = 1e-12f;  // likewise

}  // namespace

std::span<const std::string_view> BertLike::encoder_tensor_groups() const { return kEncoderGroups; }

std::string BertLike::linear_name(int32_t layer, LinearRole role) const {
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

std::string BertLike::attention_norm_name(int32_t layer) const {
  return layer_name(layer, "attention.output.LayerNorm");
}

std::string BertLike::ffn_norm_name(int32_t layer) const {
  return layer_name(layer, "output.LayerNorm");
}

model::EncoderSpec BertLike::read_bert_spec(const JsonObject& config) const {
  model::EncoderSpec spec =
      read_common_spec(config, *this,
                       {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                        "intermediate_size", "max_position_embeddings", "hidden_act"});
  spec.norm_epsilon = read_epsilon(config, "layer_norm_eps", kNormEpsilon);
  const std::string positions = config.string("position_embedding_type").value_or("absolute");
  if (positions != "absolute") {
    config.problem(
        unsupported({"The position scheme is not supported",
                     config.where("position_embedding_type"), "absolute", positions, ""}));
  }
  refuse_settings(config, "A decoder", {"is_decoder", "add_cross_attention"});
  return spec;
}

int32_t BertLike::read_token_types(const JsonObject& config) {
  constexpr const char* kKey = "type_vocab_size";
  return config.has(kKey) ? config.integer(kKey, 1, kMaxTokenTypes).value_or(0) : kTokenTypes;
}

std::string BertLike::layer_name(int32_t layer, const char* part) {
  return "encoder.layer." + std::to_string(layer) + "." + part;
}

model::Head read_projected_head(const model::EncoderSpec& spec, int32_t outputs,
                                model::Activation activation, TensorReader& tensors) {
  model::Head head;
  head.dense = {tensors.linear(kProjectedHeadDense, spec.hidden, spec.hidden), activation};
  head.output = tensors.linear(kProjectedHeadOutput, outputs, spec.hidden);
  return head;
}

}  // namespace tilewise::checkpoint
