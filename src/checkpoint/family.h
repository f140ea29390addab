// A family of encoders: how its config.json and its tensors spell what EncoderSpec and
// EncoderWeights hold. One file per family; docs/ADDING_A_FAMILY.md says how to add one.
#pragma once

#include <cstdint>
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

  /// Reads and checks the fields of config.json; what is wrong or not supported goes to the
  /// config's report.
  virtual model::EncoderSpec read_spec(const JsonObject& config) const = 0;

  /// The name of a linear layer without prefix and ".weight":
  /// "encoder.layer.0.attention.self.query".
  virtual std::string linear_name(int32_t layer, model::LinearRole role) const = 0;
  virtual std::string attention_norm_name(int32_t layer) const = 0;
  virtual std::string ffn_norm_name(int32_t layer) const = 0;

  /// Prefixes of the names of tensors that belong to the encoder: one left over there means another
  /// architecture.
  virtual std::span<const std::string_view> encoder_tensor_groups() const = 0;

  /// The head of classifier_architecture(), for a spec and number of logits; `prefix` as in
  /// encoder_prefix().
  virtual model::Head read_classifier(const model::EncoderSpec& spec, int32_t outputs,
                                      const std::string& prefix, TensorReader& tensors) const = 0;
  /// The dense layer of that head, as an adapter names it: "pooler.dense".
  virtual std::string_view classifier_dense_name() const = 0;
};

/// All families, in the order in which messages list them.
std::span<const Family* const> families();
/// nullptr when there is none.
const Family* find_family(std::string_view model_type);
/// The same by architecture, for old files without model_type.
const Family* find_family_of(std::string_view architecture);

const Family& bert_family();
const Family& distilbert_family();

/// The prefix that this checkpoint really uses: the family's or none.
std::string encoder_prefix(const Family& family, const TensorReader& tensors);

/// Embeddings and layers. Tensors of the encoder that are left over are a problem, all others stay
/// unused.
model::EncoderWeights read_encoder(const Family& family, const model::EncoderSpec& spec,
                                   TensorReader& tensors);

/// [outputs, inputs] of a linear layer.
std::pair<int64_t, int64_t> linear_shape(const model::EncoderSpec& spec, model::LinearRole role);

/// Every role, in the order of the forward pass.
inline constexpr model::LinearRole kLinearRoles[] = {
    model::LinearRole::query,  model::LinearRole::key,
    model::LinearRole::value,  model::LinearRole::attention_output,
    model::LinearRole::ffn_up, model::LinearRole::ffn_down};

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

}  // namespace tilewise::checkpoint
