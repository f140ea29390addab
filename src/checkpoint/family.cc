#include "checkpoint/family.h"

#include <algorithm>
#include <array>

namespace tilewise::checkpoint {
namespace {

using model::LinearRole;

// Far above any published encoder; they keep sizes from a hostile config within what integers can
// hold.
constexpr int32_t kMaxVocabulary = 1 << 24;
constexpr int32_t kMaxHidden = 1 << 14;
constexpr int32_t kMaxIntermediate = 1 << 16;
constexpr int32_t kMaxLayers = 256;
constexpr int32_t kMinPositions = 4;  // [CLS] a [SEP] [SEP]
constexpr int32_t kMaxPositions = 1 << 20;
constexpr int32_t kMaxHeadDim = 256;  // kernels/attention.h

/// Hugging Face's names of the exact GELU, x * Phi(x). Its approximations ("gelu_new") give other
/// numbers.
constexpr std::array<std::string_view, 2> kExactGelu = {"gelu", "gelu_python"};

void check_activation(const JsonObject& config, const char* key) {
  const std::string name = config.string(key).value_or("gelu");
  if (std::find(kExactGelu.begin(), kExactGelu.end(), name) != kExactGelu.end()) return;
  config.problem(unsupported({"The activation of the encoder is not supported", config.where(key),
                              "gelu (the exact erf form)", name, ""}));
}

/// Settings of Hugging Face that change the arithmetic for any family.
void check_variant(const JsonObject& config) {
  for (const char* key : {"quantization_config", "pruned_heads"}) {
    if (!config.is_set(key)) continue;
    config.problem(unsupported({std::string(key) + " is not supported", config.where(key),
                                "a checkpoint without it", config.text_of(key), ""}));
  }
}

void check_heads(const JsonObject& config, const model::EncoderSpec& spec, const char* key) {
  if (spec.hidden == 0 || spec.heads == 0) return;  // reported already
  if (spec.hidden % spec.heads != 0) {
    config.problem(invalid_input({"The heads do not divide the hidden size", config.where(key),
                                  "a divisor of " + std::to_string(spec.hidden),
                                  std::to_string(spec.heads), ""}));
  } else if (spec.head_dim() > kMaxHeadDim) {
    config.problem(unsupported({"The attention heads are too wide", config.where(key),
                                "at most " + std::to_string(kMaxHeadDim) + " numbers a head",
                                std::to_string(spec.head_dim()), ""}));
  }
}

model::LayerWeights read_layer(const Family& family, const model::EncoderSpec& spec,
                               const std::string& prefix, int32_t layer, TensorReader& tensors) {
  const auto linear = [&](LinearRole role) {
    const auto [outputs, inputs] = linear_shape(spec, role);
    return tensors.linear(prefix + family.linear_name(layer, role), outputs, inputs);
  };
  model::LayerWeights weights;
  weights.query = linear(LinearRole::query);
  weights.key = linear(LinearRole::key);
  weights.value = linear(LinearRole::value);
  weights.attention_output = linear(LinearRole::attention_output);
  weights.attention_norm = tensors.norm(prefix + family.attention_norm_name(layer), spec.hidden);
  weights.ffn_up = linear(LinearRole::ffn_up);
  weights.ffn_down = linear(LinearRole::ffn_down);
  weights.ffn_norm = tensors.norm(prefix + family.ffn_norm_name(layer), spec.hidden);
  return weights;
}

/// A tensor of the encoder that nobody asked for would be silently left out of the arithmetic.
void refuse_leftovers(const Family& family, const std::string& prefix, TensorReader& tensors) {
  for (const std::string& name : tensors.unused()) {
    if (!name.starts_with(prefix) || name.ends_with("position_ids"))
      continue;  // a buffer 0, 1, 2, ...
    const std::string_view inner = std::string_view(name).substr(prefix.size());
    const auto groups = family.encoder_tensor_groups();
    if (std::none_of(groups.begin(), groups.end(),
                     [&](std::string_view group) { return inner.starts_with(group); })) {
      continue;
    }
    tensors.problem(unsupported({"The encoder has a tensor that its config.json does not explain",
                                 tensors.files().path() + ": " + name, "", "",
                                 "Check the number of layers in config.json"}));
  }
}

}  // namespace

bool Family::has_architecture(std::string_view name) const {
  const auto encoders = encoder_architectures();
  return name == classifier_architecture() ||
         std::find(encoders.begin(), encoders.end(), name) != encoders.end();
}

std::span<const Family* const> families() {
  static const std::array<const Family*, 2> all = {&bert_family(), &distilbert_family()};
  return all;
}

const Family* find_family(std::string_view model_type) {
  for (const Family* family : families()) {
    if (family->model_type() == model_type) return family;
  }
  return nullptr;
}

const Family* find_family_of(std::string_view architecture) {
  for (const Family* family : families()) {
    if (family->has_architecture(architecture)) return family;
  }
  return nullptr;
}

std::string encoder_prefix(const Family& family, const TensorReader& tensors) {
  const std::string prefix(family.prefix());
  return tensors.has(prefix + "embeddings.word_embeddings.weight") ? prefix : "";
}

model::EncoderWeights read_encoder(const Family& family, const model::EncoderSpec& spec,
                                   TensorReader& tensors) {
  const std::string prefix = encoder_prefix(family, tensors);
  const std::string embeddings = prefix + "embeddings.";
  model::EncoderWeights weights;
  weights.word_embeddings =
      tensors.tensor(embeddings + "word_embeddings.weight", {spec.vocab_size, spec.hidden});
  weights.position_embeddings =
      tensors.tensor(embeddings + "position_embeddings.weight", {spec.max_positions, spec.hidden});
  if (spec.token_types > 0) {
    weights.type_embeddings = tensors.tensor(embeddings + "token_type_embeddings.weight",
                                             {spec.token_types, spec.hidden});
  }
  weights.embedding_norm = tensors.norm(embeddings + "LayerNorm", spec.hidden);
  for (int32_t layer = 0; layer < spec.layers; ++layer) {
    weights.layers.push_back(read_layer(family, spec, prefix, layer, tensors));
  }
  refuse_leftovers(family, prefix, tensors);
  return weights;
}

std::pair<int64_t, int64_t> linear_shape(const model::EncoderSpec& spec, LinearRole role) {
  switch (role) {
    case LinearRole::ffn_up:
      return {spec.intermediate, spec.hidden};
    case LinearRole::ffn_down:
      return {spec.hidden, spec.intermediate};
    default:
      return {spec.hidden, spec.hidden};
  }
}

model::EncoderSpec read_common_spec(const JsonObject& config, const Family& family,
                                    const SpecKeys& keys) {
  const auto size = [&](const char* key, int32_t highest) {
    return config.required_integer(key, 1, highest).value_or(0);
  };
  model::EncoderSpec spec;
  spec.family = family.model_type();
  spec.vocab_size = size(keys.vocab_size, kMaxVocabulary);
  spec.hidden = size(keys.hidden, kMaxHidden);
  spec.layers = size(keys.layers, kMaxLayers);
  spec.heads = size(keys.heads, kMaxHidden);
  spec.intermediate = size(keys.intermediate, kMaxIntermediate);
  spec.max_positions =
      config.required_integer(keys.max_positions, kMinPositions, kMaxPositions).value_or(0);
  spec.activation = model::Activation::gelu_erf;
  check_activation(config, keys.activation);
  check_heads(config, spec, keys.heads);
  check_variant(config);
  return spec;
}

}  // namespace tilewise::checkpoint
