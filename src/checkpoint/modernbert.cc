// ModernBERT (Warner et al. 2024) as Hugging Face stores it: norms before the blocks, no biases,
// rotary positions, GeGLU, and attention that is local in most layers.
#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "checkpoint/family.h"

namespace tilewise::checkpoint {
namespace {

using model::LinearRole;

constexpr std::array<std::string_view, 2> kEncoderArchitectures = {"ModernBertModel",
                                                                   "ModernBertForMaskedLM"};
constexpr std::array<std::string_view, 3> kEncoderGroups = {"embeddings.", "layers.",
                                                            "final_norm."};

// Hugging Face's defaults.
constexpr float kNormEpsilon = 1e-5f;
constexpr float kGlobalTheta = 160000;
constexpr float kLocalTheta = 10000;
constexpr int32_t kLocalAttention = 128;
constexpr int32_t kGlobalEvery = 3;

constexpr int32_t kMaxLocalAttention = 1 << 20;
constexpr int32_t kMaxGlobalEvery = 1 << 10;

constexpr const char* kGlobalLayer = "full_attention";
constexpr const char* kLocalLayer = "sliding_attention";

class ModernBert final : public Family {
 public:
  const char* model_type() const override { return "modernbert"; }
  std::span<const std::string_view> encoder_architectures() const override {
    return kEncoderArchitectures;
  }
  std::string_view classifier_architecture() const override {
    return "ModernBertForSequenceClassification";
  }
  std::string_view prefix() const override { return "model."; }
  std::string_view word_embeddings_name() const override { return "embeddings.tok_embeddings"; }
  std::span<const std::string_view> encoder_tensor_groups() const override {
    return kEncoderGroups;
  }
  Bias bias() const override { return Bias::none; }
  std::string_view classifier_dense_name() const override { return "head.dense"; }
  std::string_view classifier_output_name() const override { return "classifier"; }

  model::EncoderSpec read_spec(const JsonObject& config) const override {
    model::EncoderSpec spec =
        read_common_spec(config, *this,
                         {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                          "intermediate_size", "max_position_embeddings", "hidden_activation"});
    spec.norm_epsilon = read_epsilon(config, "norm_eps", kNormEpsilon);
    spec.norm_placement = model::NormPlacement::pre;
    spec.is_gated = true;
    spec.positions = model::Positions::rotary;
    refuse_settings(config, "A bias in the encoder", {"attention_bias", "mlp_bias", "norm_bias"});
    read_windows(config, spec);
    read_rotary(config, spec);
    return spec;
  }

  void read_embeddings(const JsonObject& /*config*/, const model::EncoderSpec& spec,
                       const std::string& prefix, TensorReader& tensors,
                       model::EncoderWeights& weights) const override {
    weights.word_embeddings =
        tensors.tensor(prefix + "embeddings.tok_embeddings.weight", {spec.vocab_size, spec.hidden});
    weights.embedding_norm = tensors.norm(prefix + "embeddings.norm", spec.hidden, bias());
  }

  std::string linear_name(int32_t layer, LinearRole role) const override {
    switch (role) {
      case LinearRole::query:
      case LinearRole::key:
      case LinearRole::value:
        return layer_name(layer, "attn.Wqkv");
      case LinearRole::attention_output:
        return layer_name(layer, "attn.Wo");
      case LinearRole::ffn_up:
        return layer_name(layer, "mlp.Wi");
      case LinearRole::ffn_down:
        return layer_name(layer, "mlp.Wo");
    }
    return {};
  }
  std::string attention_norm_name(int32_t layer) const override {
    return layer_name(layer, "attn_norm");
  }
  std::string ffn_norm_name(int32_t layer) const override { return layer_name(layer, "mlp_norm"); }
  std::string final_norm_name() const override { return "final_norm"; }

  /// logits = classifier(norm(gelu(dense(pooled))))
  model::Head read_classifier(const JsonObject& config, const model::EncoderSpec& spec,
                              int32_t outputs, const std::string& /*prefix*/,
                              TensorReader& tensors) const override {
    check_activation(config, "classifier_activation", "The activation of the classifier");
    const bool has_bias = config.boolean("classifier_bias").value_or(false);
    model::Head head;
    head.dense = {.linear = tensors.linear("head.dense", spec.hidden, spec.hidden,
                                           has_bias ? Bias::stored : Bias::none),
                  .activation = model::Activation::gelu_erf,
                  .norm = tensors.norm("head.norm", spec.hidden, bias())};
    head.output = tensors.linear("classifier", outputs, spec.hidden);
    return head;
  }

  model::Pooling classifier_pooling(const JsonObject& config) const override {
    constexpr const char* kKey = "classifier_pooling";
    const std::string name = config.string(kKey).value_or("cls");
    const auto pooling = model::parse_name<model::Pooling>(name);
    if (!pooling) config.wrong(kKey, "cls or mean");
    return pooling.value_or(model::Pooling::cls);
  }

 private:
  static std::string layer_name(int32_t layer, const char* part) {
    return "layers." + std::to_string(layer) + "." + part;
  }

  /// Which layers are local, and how far they see: half of local_attention on each side.
  static void read_windows(const JsonObject& config, model::EncoderSpec& spec) {
    constexpr const char* kKey = "local_attention";
    const int32_t whole = config.has(kKey) ? config.integer(kKey, 2, kMaxLocalAttention).value_or(2)
                                           : kLocalAttention;
    spec.global_every = read_global_every(config, spec.layers);
    if (spec.global_every > 1) spec.window = whole / 2;
  }

  static int32_t read_global_every(const JsonObject& config, int32_t layers) {
    constexpr const char* kTypes = "layer_types";
    constexpr const char* kEvery = "global_attn_every_n_layers";
    if (const auto types = config.strings(kTypes)) {
      const auto every = global_every(*types);
      if (every && types->size() == static_cast<size_t>(layers)) return *every;
      config.problem(unsupported({"This order of layers is not supported", config.where(kTypes),
                                  std::string("a name a layer: ") + kGlobalLayer +
                                      " for the first and every " + "N-th from it, " + kLocalLayer +
                                      " for the others",
                                  config.text_of(kTypes), ""}));
      return 1;
    }
    return config.has(kEvery) ? config.integer(kEvery, 1, kMaxGlobalEvery).value_or(1)
                              : kGlobalEvery;
  }

  /// N where layer I is global if I % N == 0, else local.
  static std::optional<int32_t> global_every(const std::vector<std::string>& types) {
    if (types.empty()) return std::nullopt;
    const auto second = std::find(types.begin() + 1, types.end(), kGlobalLayer);
    const auto every = second - types.begin();
    for (size_t i = 0; i < types.size(); ++i) {
      const bool is_global = i % static_cast<size_t>(every) == 0;
      if (types[i] != (is_global ? kGlobalLayer : kLocalLayer)) return std::nullopt;
    }
    return static_cast<int32_t>(every);
  }

  /// rope_parameters as transformers 5 writes it, or the two thetas of older files.
  static void read_rotary(const JsonObject& config, model::EncoderSpec& spec) {
    if (config.is_set("rope_scaling")) refuse_scaling(config, "rope_scaling");
    if (config.has("head_dim")) config.integer("head_dim", spec.head_dim(), spec.head_dim());
    if (spec.head_dim() % 2 != 0) {
      config.problem(invalid_input({"Rotary positions turn pairs of numbers",
                                    config.where("num_attention_heads"), "an even number a head",
                                    std::to_string(spec.head_dim()), ""}));
    }
    spec.rotary_base = read_theta(config, kGlobalLayer, "global_rope_theta", kGlobalTheta);
    const float local = read_theta(config, kLocalLayer, "local_rope_theta", kLocalTheta);
    if (spec.window > 0) spec.rotary_base_local = local;
  }

  static float read_theta(const JsonObject& config, const char* layer, const char* old_key,
                          float standard) {
    constexpr const char* kKey = "rope_theta";
    const auto all = config.object("rope_parameters");
    const auto parameters = all ? all->object(layer) : std::nullopt;
    if (parameters) check_rotary(*parameters);
    const bool is_new = parameters && parameters->has(kKey);
    const JsonObject& holder = is_new ? *parameters : config;
    const char* key = is_new ? kKey : old_key;
    const auto theta = static_cast<float>(holder.number(key).value_or(standard));
    if (theta > 1) return theta;
    holder.wrong(key, "a number over 1");
    return standard;
  }

  static void check_rotary(const JsonObject& parameters) {
    for (const std::string& key : parameters.keys()) {
      const bool is_plain = key == "rope_theta" || key == "rope_type" || key == "type";
      if (!is_plain && parameters.is_set(key)) refuse_scaling(parameters, key);
    }
    for (const char* key : {"rope_type", "type"}) {
      if (parameters.string(key).value_or("default") != "default") refuse_scaling(parameters, key);
    }
  }

  static void refuse_scaling(const JsonObject& config, const std::string& key) {
    config.problem(
        unsupported({"Scaled rotary positions are not supported", config.where(key),
                     "rope_type default without further settings", config.text_of(key), ""}));
  }
};

}  // namespace

const Family& modernbert_family() {
  static const ModernBert family;
  return family;
}

}  // namespace tilewise::checkpoint
