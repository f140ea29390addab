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

/// Tensors without values (Mode::check) stay so.
model::Tensor without_first_rows(model::Tensor table, int64_t rows) {
  if (table.values.empty() || rows == 0) return table;
  table.values.erase(table.values.begin(), table.values.begin() + rows * table.shape[1]);
  table.shape[0] -= rows;
  return table;
}

void split_qkv(const model::LinearWeights& fused, model::LayerWeights& weights) {
  const auto split = [&](LinearRole part, model::LinearWeights& into) {
    into = {fused_part(fused.weight, part), fused_part(fused.bias, part)};
  };
  split(LinearRole::query, weights.query);
  split(LinearRole::key, weights.key);
  split(LinearRole::value, weights.value);
}

model::LayerWeights read_layer(const Family& family, const model::EncoderSpec& spec,
                               const std::string& prefix, int32_t layer, TensorReader& tensors) {
  const auto linear = [&](LinearRole role, int64_t parts = 1) {
    const auto [outputs, inputs] = linear_shape(spec, role);
    return tensors.linear(prefix + family.linear_name(layer, role), parts * outputs, inputs,
                          family.bias());
  };
  const auto norm = [&](const std::string& name) {
    return tensors.norm(prefix + name, spec.hidden, family.bias());
  };
  model::LayerWeights weights;
  if (family.has_fused_qkv()) {
    split_qkv(linear(LinearRole::query, kFusedParts), weights);
  } else {
    weights.query = linear(LinearRole::query);
    weights.key = linear(LinearRole::key);
    weights.value = linear(LinearRole::value);
  }
  weights.attention_output = linear(LinearRole::attention_output);
  if (spec.has_attention_norm(layer)) {
    weights.attention_norm = norm(family.attention_norm_name(layer));
  }
  weights.ffn_up = linear(LinearRole::ffn_up);
  weights.ffn_down = linear(LinearRole::ffn_down);
  weights.ffn_norm = norm(family.ffn_norm_name(layer));
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

bool Family::has_fused_qkv() const {
  return linear_name(0, LinearRole::query) == linear_name(0, LinearRole::key);
}

model::Pooling Family::classifier_pooling(const JsonObject& /*config*/) const {
  return model::Pooling::cls;
}

int32_t Family::first_position(const JsonObject& /*config*/) const { return 0; }

void Family::read_embeddings(const JsonObject& config, const model::EncoderSpec& spec,
                             const std::string& prefix, TensorReader& tensors,
                             model::EncoderWeights& weights) const {
  const std::string embeddings = prefix + "embeddings.";
  const int64_t width = spec.embedding_width();
  weights.word_embeddings =
      tensors.tensor(embeddings + "word_embeddings.weight", {spec.vocab_size, width});
  const int64_t first = first_position(config);
  weights.position_embeddings =
      without_first_rows(tensors.tensor(embeddings + "position_embeddings.weight",
                                        {spec.max_positions + first, width}),
                         first);
  if (spec.token_types > 0) {
    weights.type_embeddings =
        tensors.tensor(embeddings + "token_type_embeddings.weight", {spec.token_types, width});
  }
  weights.embedding_norm = tensors.norm(embeddings + "LayerNorm", width);
}

std::span<const Family* const> families() {
  static const std::array<const Family*, 8> all = {
      &bert_family(),      &distilbert_family(), &roberta_family(), &xlm_roberta_family(),
      &camembert_family(), &mpnet_family(),      &electra_family(), &modernbert_family()};
  return all;
}

std::string_view reason_against(std::string_view model_type) {
  if (model_type == "deberta" || model_type == "deberta-v2") {
    return "DeBERTa is not supported: its attention compares contents with positions as well, "
           "which no other family here does";
  }
  return {};
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
  const std::string words = std::string(family.word_embeddings_name()) + ".weight";
  return tensors.has(prefix + words) ? prefix : "";
}

model::EncoderWeights read_encoder(const Family& family, const JsonObject& config,
                                   const model::EncoderSpec& spec, TensorReader& tensors) {
  const std::string prefix = encoder_prefix(family, tensors);
  model::EncoderWeights weights;
  family.read_embeddings(config, spec, prefix, tensors, weights);
  for (int32_t layer = 0; layer < spec.layers; ++layer) {
    weights.layers.push_back(read_layer(family, spec, prefix, layer, tensors));
  }
  if (spec.norm_placement == model::NormPlacement::pre) {
    weights.final_norm =
        tensors.norm(prefix + family.final_norm_name(), spec.hidden, family.bias());
  }
  refuse_leftovers(family, prefix, tensors);
  return weights;
}

std::pair<int64_t, int64_t> linear_shape(const model::EncoderSpec& spec, LinearRole role) {
  switch (role) {
    case LinearRole::ffn_up:
      return {spec.ffn_up_outputs(), spec.hidden};
    case LinearRole::ffn_down:
      return {spec.hidden, spec.intermediate};
    default:
      return {spec.hidden, spec.hidden};
  }
}

model::Tensor fused_part(const model::Tensor& fused, LinearRole part) {
  std::vector<int64_t> shape = fused.shape;
  if (!shape.empty()) shape[0] /= kFusedParts;
  const auto size = static_cast<ptrdiff_t>(fused.values.size()) / kFusedParts;
  const auto first = fused.values.begin() + static_cast<ptrdiff_t>(part) * size;
  return {std::move(shape), {first, first + size}};
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
  const int32_t first = family.first_position(config);
  spec.max_positions =
      config.required_integer(keys.max_positions, kMinPositions + first, kMaxPositions)
          .value_or(first) -
      first;
  spec.activation = model::Activation::gelu_erf;
  check_activation(config, keys.activation, "The activation of the encoder");
  check_heads(config, spec, keys.heads);
  check_variant(config);
  return spec;
}

void check_activation(const JsonObject& config, const char* key, const std::string& what) {
  const std::string name = config.string(key).value_or("gelu");
  if (std::find(kExactGelu.begin(), kExactGelu.end(), name) != kExactGelu.end()) return;
  config.problem(unsupported(
      {what + " is not supported", config.where(key), "gelu (the exact erf form)", name, ""}));
}

float read_epsilon(const JsonObject& config, const char* key, float standard) {
  const double epsilon = config.number(key).value_or(standard);
  if (epsilon > 0 && epsilon < 1) return static_cast<float>(epsilon);
  config.wrong(key, "a number between 0 and 1");
  return standard;
}

void refuse_settings(const JsonObject& config, const std::string& what,
                     std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (!config.is_set(key)) continue;
    config.problem(unsupported(
        {what + " is not supported", config.where(key), "false", config.text_of(key), ""}));
  }
}

}  // namespace tilewise::checkpoint
