// A family of encoders: how its config.json and its tensors spell what EncoderSpec and
// EncoderWeights hold. One file per family; docs/ADDING_A_FAMILY.md says how to add one.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint/json.h"
#include "checkpoint/tensor_reader.h"
#include "model/model.h"

namespace tilewise::checkpoint {

/// Stateless: one constant object a family.
class Family {
 public:
  virtual ~Family() = default;

  virtual const char* model_type() const = 0;  ///< config.json's, and EncoderSpec::family
  /// Architectures whose encoder is read; heads that they may have are left aside.
  virtual std::span<const std::string_view> encoder_architectures() const = 0;
  /// The architecture with a head of sequence classification.
  virtual std::string_view classifier_architecture() const = 0;
  bool has_architecture(std::string_view name) const;

  /// What stands before the encoder's tensor names in checkpoints of models with a head: "bert.".
  virtual std::string_view prefix() const = 0;
  /// The table of word embeddings without prefix and ".weight".
  virtual std::string_view word_embeddings_name() const { return "embeddings.word_embeddings"; }

  /// Reads and checks the fields of config.json; what is wrong or not supported goes to the
  /// config's report.
  virtual model::EncoderSpec read_spec(const JsonObject& config) const = 0;

  /// The row of the position table that belongs to the first token. Those before it are left out.
  virtual int32_t first_position(const JsonObject& config) const;
  /// Everything before the first layer. The base class reads BERT's tables and norm under BERT's
  /// names, as many rows and columns as the spec says.
  virtual void read_embeddings(const JsonObject& config, const model::EncoderSpec& spec,
                               const std::string& prefix, TensorReader& tensors,
                               model::EncoderWeights& weights) const;

  /// The name of a linear layer without prefix and ".weight":
  /// "encoder.layer.0.attention.self.query". Where query, key and value have one name they are one
  /// tensor [3 H, H], in this order.
  virtual std::string linear_name(int32_t layer, model::LinearRole role) const = 0;
  virtual std::string attention_norm_name(int32_t layer) const = 0;
  virtual std::string ffn_norm_name(int32_t layer) const = 0;
  /// The norm behind the last layer, of families with norms before their blocks.
  virtual std::string final_norm_name() const { return {}; }
  /// Whether linear layers and norms have biases; else they are zeros.
  virtual Bias bias() const { return Bias::stored; }
  bool has_fused_qkv() const;

  /// Prefixes of the names of tensors that belong to the encoder: one left over there means another
  /// architecture.
  virtual std::span<const std::string_view> encoder_tensor_groups() const = 0;

  /// The head of classifier_architecture(), for a spec and number of logits; `prefix` as in
  /// encoder_prefix().
  virtual model::Head read_classifier(const JsonObject& config, const model::EncoderSpec& spec,
                                      int32_t outputs, const std::string& prefix,
                                      TensorReader& tensors) const = 0;
  /// The layers of that head, as an adapter names them: "pooler.dense", "classifier".
  virtual std::string_view classifier_dense_name() const = 0;
  virtual std::string_view classifier_output_name() const = 0;
  /// What that head reads; a problem with it goes to the config's report.
  virtual model::Pooling classifier_pooling(const JsonObject& config) const;
};

/// All families, in the order in which messages list them.
std::span<const Family* const> families();
/// nullptr when there is none.
const Family* find_family(std::string_view model_type);
/// The same by architecture, for old files without model_type.
const Family* find_family_of(std::string_view architecture);
/// Why a well-known architecture is not supported; empty where there is nothing to say of it.
std::string_view reason_against(std::string_view model_type);

const Family& bert_family();
const Family& camembert_family();
const Family& distilbert_family();
const Family& electra_family();
const Family& modernbert_family();
const Family& mpnet_family();
const Family& roberta_family();
const Family& xlm_roberta_family();

/// The prefix that this checkpoint really uses: the family's or none.
std::string encoder_prefix(const Family& family, const TensorReader& tensors);

/// Embeddings and layers. Tensors of the encoder that are left over are a problem, all others stay
/// unused.
model::EncoderWeights read_encoder(const Family& family, const JsonObject& config,
                                   const model::EncoderSpec& spec, TensorReader& tensors);

/// [outputs, inputs] of a linear layer.
std::pair<int64_t, int64_t> linear_shape(const model::EncoderSpec& spec, model::LinearRole role);

/// Every role, in the order of the forward pass.
inline constexpr model::LinearRole kLinearRoles[] = {
    model::LinearRole::query,  model::LinearRole::key,
    model::LinearRole::value,  model::LinearRole::attention_output,
    model::LinearRole::ffn_up, model::LinearRole::ffn_down};

/// Query, key and value lie in this order in a layer where they are one.
inline constexpr int64_t kFusedParts = 3;
inline bool is_fused_part(model::LinearRole role) { return role <= model::LinearRole::value; }
/// The rows of one of them: a third of the tensor.
model::Tensor fused_part(const model::Tensor& fused, model::LinearRole part);

/// Sizes and settings that families share, by the family's own key names. Problems go to the
/// config's report.
struct SpecKeys {
  const char* vocab_size;
  const char* hidden;
  const char* layers;
  const char* heads;
  const char* intermediate;
  const char* max_positions;
  const char* activation;
};
model::EncoderSpec read_common_spec(const JsonObject& config, const Family& family,
                                    const SpecKeys& keys);

/// A problem unless the activation is the exact GELU, as it is where config.json does not say.
/// `what` begins the message: "The activation of the encoder".
void check_activation(const JsonObject& config, const char* key, const std::string& what);

/// The epsilon of layer norms; `standard` where config.json does not say.
float read_epsilon(const JsonObject& config, const char* key, float standard);

/// A problem where a setting is on that makes another model of it (a decoder, biases...).
void refuse_settings(const JsonObject& config, const std::string& what,
                     std::initializer_list<const char*> keys);

}  // namespace tilewise::checkpoint
