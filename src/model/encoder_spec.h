// What kind of transformer encoder a model is. There is no graph: these fields and the weights say
// all that the forward pass needs. A checkpoint that they cannot express is refused by name.
#pragma once

#include <cstdint>
#include <string>

namespace tilewise::model {

enum class Activation { identity, gelu_erf, gelu_tanh, relu, tanh };
enum class Pooling { mean, cls };

/// Where a block normalises: behind each residual sum (Vaswani et al. 2017; BERT), or before
/// attention and feed-forward, with one more norm behind the last layer (ModernBERT). With `pre`
/// the norm of the embeddings is the one before the first attention.
enum class NormPlacement { post, pre };

/// How an encoder knows the order of its tokens: a learned vector a position, added to the
/// embeddings, or queries and keys turned by an angle (Su et al. 2021, "RoFormer").
enum class Positions { learned, rotary };

/// The defaults are BERT's (Devlin et al. 2018): post-norm, learned absolute positions, attention
/// to all tokens. Shapes use H = hidden, E = embedding_width(), F = intermediate, V = vocab_size, P
/// = max_positions.
struct EncoderSpec {
  std::string family;      ///< "bert", "distilbert", "modernbert"...
  int32_t vocab_size = 0;  ///< V
  int32_t hidden = 0;      ///< H
  int32_t layers = 0;
  int32_t heads = 0;          ///< head_dim() = H / heads
  int32_t intermediate = 0;   ///< F
  int32_t max_positions = 0;  ///< P: the longest sequence, in tokens with the special ones
  int32_t token_types = 0;    ///< 0: the family has none (DistilBERT)
  Activation activation = Activation::gelu_erf;
  float norm_epsilon = 1e-12f;

  /// E, where a linear layer from E to H follows the norm of the embeddings (ELECTRA); 0: E = H.
  int32_t embedding_size = 0;
  NormPlacement norm_placement = NormPlacement::post;
  /// ffn_up has 2 F outputs, and the inner layer is activation(first half) * second half (Shazeer
  /// 2020, "GeGLU").
  bool is_gated = false;
  Positions positions = Positions::learned;
  float rotary_base = 0;        ///< rotary: theta of global layers
  float rotary_base_local = 0;  ///< rotary: of local layers; 0: there are none
  /// A token of a local layer attends to itself and to so many on each side; 0: all layers are
  /// global.
  int32_t window = 0;
  int32_t global_every = 1;  ///< with a window: layer I is global where I % global_every == 0
  /// Rows of the table of biases that attention adds to the scores of two tokens by their distance
  /// (T5's buckets, shared by all layers; MPNet); 0: none.
  int32_t relative_buckets = 0;
  int32_t relative_distance = 128;  ///< from this distance on all share the last bucket

  int32_t embedding_width() const { return embedding_size > 0 ? embedding_size : hidden; }
  /// With `pre` the norm of the embeddings is the one before the first attention.
  bool has_attention_norm(int32_t layer) const {
    return norm_placement == NormPlacement::post || layer > 0;
  }
  bool is_local(int32_t layer) const { return window > 0 && layer % global_every != 0; }
  int32_t ffn_up_outputs() const { return is_gated ? 2 * intermediate : intermediate; }
  int32_t head_dim() const { return heads > 0 ? hidden / heads : 0; }
  bool operator==(const EncoderSpec&) const = default;
};

}  // namespace tilewise::model
