// What kind of transformer encoder a model is. There is no graph: these fields and the weights say
// all that the forward pass needs. A checkpoint that they cannot express is refused by name.
#pragma once

#include <cstdint>
#include <string>

namespace tilewise::model {

enum class Activation { identity, gelu_erf, gelu_tanh, relu, tanh };
enum class Pooling { mean, cls };

/// A post-norm encoder with learned absolute positions (Devlin et al. 2018, "BERT").
/// Shapes use H = hidden, F = intermediate, V = vocab_size, P = max_positions.
struct EncoderSpec {
  std::string family;      ///< "bert", "distilbert"
  int32_t vocab_size = 0;  ///< V
  int32_t hidden = 0;      ///< H
  int32_t layers = 0;
  int32_t heads = 0;          ///< head_dim() = H / heads
  int32_t intermediate = 0;   ///< F
  int32_t max_positions = 0;  ///< P: the longest sequence, in tokens with the special ones
  int32_t token_types = 0;    ///< 0: the family has none (DistilBERT)
  Activation activation = Activation::gelu_erf;
  float norm_epsilon = 1e-12f;

  int32_t head_dim() const { return heads > 0 ? hidden / heads : 0; }
  bool operator==(const EncoderSpec&) const = default;
};

}  // namespace tilewise::model
