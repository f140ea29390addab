#include "checkpoint/adapter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string_view>

namespace tilewise::checkpoint {
namespace {

constexpr const char* kSubject = "adapter";
constexpr const char* kPooler = "pooler.dense";
constexpr int32_t kMaxRank = 1 << 14;

/// Settings that leave W + scale B A as it is, whatever their value. Any other setting that is set
/// is a variant.
constexpr std::array<std::string_view, 20> kHarmless = {
    // Read below.
    "peft_type", "r", "lora_alpha", "target_modules", "use_rslora", "init_lora_weights", "bias",
    // Provenance.
    "auto_mapping", "base_model_name_or_path", "peft_version", "revision", "task_type",
    "inference_mode", "runtime_config",
    // Training only, or a constant that is written even where it is not used.
    "lora_dropout", "megatron_core", "qalora_group_size", "ensure_weight_tying", "eva_config",
    "layers_pattern"};

/// Ways to start the training that leave the backbone as it was. The others (pissa, olora, loftq,
/// corda...) change it.
constexpr std::array<std::string_view, 3> kHarmlessStarts = {"gaussian", "eva", "orthogonal"};

void refuse(const JsonObject& config, const std::string& key, const std::string& expected) {
  config.problem(
      unsupported({"The adapter setting " + key + " is not supported", config.where(key), expected,
                   config.text_of(key),
                   "Merge the adapter with PEFT (merge_and_unload) and save the whole model"}));
}

void refuse_variants(const JsonObject& config) {
  if (config.string("peft_type").value_or("LORA") != "LORA") refuse(config, "peft_type", "LORA");
  if (config.string("bias").value_or("none") != "none") refuse(config, "bias", "none");
  for (const std::string& key : config.keys()) {
    const bool harmless = std::find(kHarmless.begin(), kHarmless.end(), key) != kHarmless.end();
    if (!harmless && config.is_set(key)) refuse(config, key, "an adapter without it");
  }
}

void check_start(const JsonObject& config) {
  constexpr const char* kKey = "init_lora_weights";
  if (!config.has(kKey) || config.is_boolean(kKey)) return;
  const auto start = config.string(kKey);
  if (start &&
      std::find(kHarmlessStarts.begin(), kHarmlessStarts.end(), *start) == kHarmlessStarts.end()) {
    refuse(config, kKey, "a start that does not change the backbone");
  }
}

void read_targets(const JsonObject& config, AdapterSettings& settings) {
  constexpr const char* kKey = "target_modules";
  if (config.is_array(kKey)) {
    settings.targets = config.strings(kKey).value_or(std::vector<std::string>());
  } else if (config.has(kKey)) {
    settings.all_linear = config.string(kKey).value_or("") == "all-linear";
    if (!settings.all_linear) refuse(config, kKey, "a list of module names, not a pattern");
  }
}

/// PEFT's rule: a target names a module wholly or by its last parts.
bool is_target(const AdapterSettings& settings, const std::string& module) {
  if (settings.all_linear) return true;
  return std::any_of(settings.targets.begin(), settings.targets.end(),
                     [&](const std::string& target) {
                       return module == target || module.ends_with("." + target);
                     });
}

/// The names of one module's pair of tensors in the file.
struct PairNames {
  std::string a;
  std::string b;
};

/// Finds the tensors of a module under the spellings that PEFT has used: with or without the prefix
/// of a model with a head, and with or without the adapter's name.
class Namer {
 public:
  Namer(const Family& family, const TensorReader& tensors) : tensors_(&tensors) {
    for (const std::string& prefix : {std::string(), std::string(family.prefix())}) {
      for (const char* suffix : {".weight", ".default.weight"})
        forms_.push_back({"base_model.model." + prefix, suffix});
    }
  }

  /// nullopt where neither half is there.
  std::optional<PairNames> find(const std::string& module) const {
    for (const Form& form : forms_) {
      PairNames names{form.prefix + module + ".lora_A" + form.suffix,
                      form.prefix + module + ".lora_B" + form.suffix};
      if (tensors_->has(names.a) || tensors_->has(names.b)) return names;
    }
    return std::nullopt;
  }

 private:
  struct Form {
    std::string prefix;
    std::string suffix;
  };
  const TensorReader* tensors_;
  std::vector<Form> forms_;
};

void report_missing(const std::string& module, TensorReader& tensors) {
  tensors.problem(invalid_input(
      {"A tensor of the adapter is missing", tensors.files().path() + ": " + module,
       "lora_A and lora_B, as target_modules says", "nothing", "Save the adapter again"}));
}

/// What is left in the file is of a layer that no task uses (the pooler's, which PEFT's target
/// "dense" reaches in every family like BERT, or an unused classifier's) or cannot be merged.
void check_rest(const Family& family, bool uses_classifier, const Namer& namer,
                TensorReader& tensors, Report& report) {
  const std::string dense(family.classifier_dense_name());
  std::vector<std::string> unused_modules;
  if (!uses_classifier) unused_modules.push_back(dense);
  if (dense != kPooler) unused_modules.emplace_back(kPooler);
  const auto module_of = [&](const std::string& name) {
    return std::find_if(unused_modules.begin(), unused_modules.end(), [&](const auto& module) {
      const auto names = namer.find(module);
      return names && (name == names->a || name == names->b);
    });
  };
  for (const std::string& name : tensors.unused()) {
    if (const auto module = module_of(name); module != unused_modules.end()) {
      report.note(kSubject, name + " is left aside: no task uses " + *module);
      continue;
    }
    tensors.problem(unsupported(
        {"The adapter changes something that is not a linear layer of the encoder's blocks",
         tensors.files().path() + ": " + name, "lora_A and lora_B of the encoder's linear layers",
         "", "Merge the adapter with PEFT (merge_and_unload) and save the whole model"}));
  }
}

}  // namespace

AdapterSettings read_adapter_settings(const JsonFile& file, Report& report) {
  AdapterSettings settings;
  const auto config = file.object(report, kSubject);
  if (!config) return settings;
  refuse_variants(*config);
  check_start(*config);
  read_targets(*config, settings);
  settings.rank = config->required_integer("r", 1, kMaxRank).value_or(0);
  if (!config->has("lora_alpha")) config->missing("lora_alpha");
  const double alpha = config->number("lora_alpha").value_or(0);
  const bool stabilised = config->boolean("use_rslora").value_or(false);
  const double divisor = stabilised ? std::sqrt(static_cast<double>(settings.rank)) : settings.rank;
  if (settings.rank > 0) settings.scale = static_cast<float>(alpha / divisor);
  return settings;
}

std::vector<model::LoraUpdate> read_adapter(const Family& family, const model::EncoderSpec& spec,
                                            const AdapterSettings& settings, bool uses_classifier,
                                            const WeightFiles& files, Mode mode, Report& report) {
  TensorReader tensors(files, mode, report, kSubject);
  const Namer namer(family, tensors);
  std::vector<model::LoraUpdate> updates;
  for (int32_t layer = 0; layer < spec.layers; ++layer) {
    for (const model::LinearRole role : kLinearRoles) {
      const std::string module = family.linear_name(layer, role);
      const auto names = namer.find(module);
      if (!names) {
        if (is_target(settings, module)) report_missing(module, tensors);
        continue;
      }
      const bool is_fused = family.has_fused_qkv() && is_fused_part(role);
      const auto [outputs, inputs] = linear_shape(spec, role);
      const int64_t parts = is_fused ? kFusedParts : 1;
      model::LoraUpdate update{layer, role, settings.scale,
                               tensors.tensor(names->a, {settings.rank, inputs}),
                               tensors.tensor(names->b, {parts * outputs, settings.rank})};
      if (is_fused) update.b = fused_part(update.b, role);
      updates.push_back(std::move(update));
    }
  }
  check_rest(family, uses_classifier, namer, tensors, report);
  if (updates.empty()) {
    tensors.problem(invalid_input({"The adapter changes no layer of the encoder", files.path(),
                                   "lora_A and lora_B tensors",
                                   std::to_string(files.count()) + " tensors", ""}));
  }
  return updates;
}

}  // namespace tilewise::checkpoint
