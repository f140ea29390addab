// What BERT has in common with the families that changed its embeddings, positions or head and kept
// its blocks and their names.
#pragma once

#include <string>

#include "checkpoint/family.h"

namespace tilewise::checkpoint {

class BertLike : public Family {
 public:
  std::span<const std::string_view> encoder_tensor_groups() const override;
  std::string linear_name(int32_t layer, model::LinearRole role) const override;
  std::string attention_norm_name(int32_t layer) const override;
  std::string ffn_norm_name(int32_t layer) const override;

 protected:
  /// All but the token types. Refuses decoders and positions that are no table.
  model::EncoderSpec read_bert_spec(const JsonObject& config) const;
  /// type_vocab_size, 2 by default; 0 after a problem.
  static int32_t read_token_types(const JsonObject& config);
  /// "encoder.layer.0.PART".
  static std::string layer_name(int32_t layer, const char* part);
};

/// logits = out_proj(activation(dense([CLS]))), the head of RoBERTa and those that took it over.
model::Head read_projected_head(const model::EncoderSpec& spec, int32_t outputs,
                                model::Activation activation, TensorReader& tensors);
inline constexpr const char* kProjectedHeadDense = "classifier.dense";
inline constexpr const char* kProjectedHeadOutput = "classifier.out_proj";

}  // namespace tilewise::checkpoint
