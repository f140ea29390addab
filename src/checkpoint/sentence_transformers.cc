#include "checkpoint/sentence_transformers.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"

namespace tilewise::checkpoint {
namespace {

constexpr const char* kModules = "modules.json";
constexpr const char* kSettings = "config_sentence_transformers.json";
constexpr int32_t kMinTokens = 3;  // [CLS] word [SEP]

/// "torch.nn.modules.activation.Sigmoid" -> "Sigmoid": modules move between packages, their class
/// names stay.
std::string class_name(const std::string& dotted) { return dotted.substr(dotted.rfind('.') + 1); }

std::optional<JsonFile> read_json(const Folder& folder, const std::string& name,
                                  const std::string& subject, Report& report) {
  Result<JsonFile> file = folder.read_json(name);
  if (file.ok()) return *std::move(file);
  report.problem(subject, file.status());
  return std::nullopt;
}

void refuse_pooling(const JsonObject& config, const std::string& key, const std::string& found) {
  config.problem(unsupported(
      {"The pooling is not supported", config.where(key), "mean or cls, one of them", found, ""}));
}

/// The names of the modes that the file asks for, in the short form: "mean", "cls", "max",
/// "lasttoken"...
std::vector<std::string> pooling_modes(const JsonObject& config) {
  constexpr std::string_view kPrefix = "pooling_mode_";
  if (config.has("pooling_mode")) return {config.string("pooling_mode").value_or("")};
  std::vector<std::string> modes;
  for (const std::string& key : config.keys()) {
    if (!key.starts_with(kPrefix) || !config.boolean(key).value_or(false)) continue;
    std::string mode = key.substr(kPrefix.size());
    if (mode == "mean_tokens") mode = "mean";
    if (mode == "cls_token") mode = "cls";
    modes.push_back(std::move(mode));
  }
  return modes;
}

void read_pooling(const Folder& folder, const std::string& name, const model::EncoderSpec& spec,
                  Report& report, model::Task& task) {
  const auto file = read_json(folder, name, "pooling", report);
  const auto config = file ? file->object(report, "pooling") : std::nullopt;
  if (!config) return;
  std::string names;
  const std::vector<std::string> modes = pooling_modes(*config);
  for (const std::string& mode : modes) names.append(names.empty() ? "" : " + ").append(mode);
  const auto pooling =
      modes.size() == 1 ? model::parse_name<model::Pooling>(modes[0]) : std::nullopt;
  if (pooling) {
    task.pooling = *pooling;
  } else {
    refuse_pooling(*config, "pooling_mode", names.empty() ? "none" : names);
  }
  for (const char* key : {"word_embedding_dimension", "embedding_dimension"}) {
    if (spec.hidden > 0 && config->has(key)) config->integer(key, spec.hidden, spec.hidden);
  }
}

/// One module of modules.json. `position` counts the modules that compute something.
struct Module {
  std::string type;
  std::string path;
  std::string where;
};

std::vector<Module> read_modules(const Folder& folder, Report& report) {
  const auto file = read_json(folder, kModules, "modules", report);
  const auto entries = file ? file->objects(report, "modules") : std::nullopt;
  std::vector<Module> modules;
  if (!entries) return modules;
  for (const JsonObject& entry : *entries) {
    const std::string type = class_name(entry.required_string("type").value_or(""));
    if (type == "Dropout") continue;  // does nothing outside training
    modules.push_back({type, entry.string("path").value_or(""), entry.where("type")});
  }
  return modules;
}

/// Transformer, Pooling and optionally Normalize, in this order.
void apply_modules(const Folder& folder, const model::EncoderSpec& spec, Report& report,
                   model::Task& task) {
  constexpr std::string_view kOrder[] = {"Transformer", "Pooling", "Normalize"};
  const std::vector<Module> modules = read_modules(folder, report);
  for (size_t i = 0; i < modules.size(); ++i) {
    const Module& module = modules[i];
    if (i >= std::size(kOrder) || module.type != kOrder[i]) {
      report.problem(
          "modules",
          unsupported({"A module of sentence-transformers is not supported here", module.where,
                       "Transformer, Pooling and optionally Normalize, in this order", module.type,
                       ""}));
      return;
    }
    const bool inside =
        module.path.find("..") == std::string::npos && !module.path.starts_with('/');
    if (!inside || (module.type == "Transformer" && !module.path.empty())) {
      report.problem("modules",
                     unsupported({"A module lies in a place that is not supported", module.where,
                                  "the Transformer in the folder itself, the others below it",
                                  module.path, ""}));
      return;
    }
    if (module.type == "Pooling")
      read_pooling(folder, module.path + "/config.json", spec, report, task);
    if (module.type == "Normalize") task.normalize = true;
  }
  if (modules.size() < 2) {
    report.problem("modules", unsupported({"There is no pooling module", folder.path_of(kModules),
                                           "Transformer and Pooling", "", ""}));
  }
}

/// A default prompt would stand before every text; the task has no place for it.
void check_prompts(const JsonObject& settings, Report& report) {
  if (!settings.is_set("prompts")) return;
  const auto prompts = settings.object("prompts");
  if (!prompts) return;
  const auto name = settings.string("default_prompt_name");
  if (name && prompts->is_set(*name)) {
    report.problem(
        "prompts",
        unsupported({"A default prompt is not supported", settings.where("default_prompt_name"),
                     "null", *name,
                     "Write the prompt into the texts and set default_prompt_name to null"}));
    return;
  }
  for (const std::string& key : prompts->keys()) {
    if (prompts->is_set(key))
      report.note("prompts",
                  key + " is not applied: write it into the texts: " + prompts->text_of(key));
  }
}

/// Embeddings are as long as the hidden states.
void check_length_of_embeddings(const JsonObject& settings, Report& report) {
  if (!settings.is_set("truncate_dim")) return;
  report.problem("truncate_dim", unsupported({"Embeddings cut to fewer values are not supported",
                                              settings.where("truncate_dim"), "null",
                                              settings.text_of("truncate_dim"),
                                              "Set it to null and cut the answers"}));
}

void read_length(const Folder& folder, int32_t longest, Report& report, model::Task& task) {
  constexpr const char* kName = "sentence_bert_config.json";
  if (!folder.has(kName)) return;
  const auto file = read_json(folder, kName, "max_seq_length", report);
  const auto config = file ? file->object(report, "max_seq_length") : std::nullopt;
  if (!config) return;
  const int32_t limit = longest > 0 ? longest : (1 << 30);
  if (const auto length = config->integer("max_seq_length", kMinTokens, 1 << 30)) {
    task.max_tokens = std::min(*length, limit);
    if (*length > limit) {
      report.note("max_seq_length", std::to_string(*length) + " is more than the model takes; " +
                                        std::to_string(limit) + " is used");
    }
  }
  if (config->boolean("do_lower_case").value_or(false)) {
    report.note("max_seq_length", "do_lower_case of " + std::string(kName) +
                                      " is left to the tokenizer's own setting");
  }
}

}  // namespace

model::Task read_embedding_task(const Folder& folder, const model::EncoderSpec& spec,
                                int32_t longest, Report& report) {
  model::Task task;
  task.name = "embedding";
  task.kind = model::TaskKind::embedding;
  task.max_tokens = longest;
  if (folder.has(kModules)) {
    apply_modules(folder, spec, report, task);
  } else {
    if (folder.has("1_Pooling/config.json"))
      read_pooling(folder, "1_Pooling/config.json", spec, report, task);
    task.normalize = folder.has("2_Normalize");
  }
  if (folder.has(kSettings)) {
    const auto file = read_json(folder, kSettings, "prompts", report);
    if (const auto settings = file ? file->object(report, "prompts") : std::nullopt) {
      check_prompts(*settings, report);
      check_length_of_embeddings(*settings, report);
    }
  }
  read_length(folder, longest, report, task);
  return task;
}

std::optional<std::string> cross_encoder_activation(const Folder& folder, const JsonObject& config,
                                                    Report& report) {
  const auto file =
      folder.has(kSettings) ? read_json(folder, kSettings, "cross-encoder", report) : std::nullopt;
  const auto settings = file ? file->object(report, "cross-encoder") : std::nullopt;
  const bool own = settings && settings->string("model_type").value_or("") == "CrossEncoder";
  // In the order of sentence-transformers 6: its own file, config.json, the default for one label.
  if (own) {
    if (const auto name = settings->string("activation_fn")) return class_name(*name);
  }
  if (const auto inner = config.object("sentence_transformers")) {
    if (const auto name = inner->string("activation_fn")) return class_name(*name);
  }
  if (const auto old = config.string("sbert_ce_default_activation_function"))
    return class_name(*old);
  return own ? std::optional<std::string>("Sigmoid") : std::nullopt;
}

int32_t longest_sequence(const Folder& folder, const model::EncoderSpec& spec) {
  // Read without the JSON tree: the file often holds 1000000000000000019884624838656, which is no
  // machine integer.
  Result<std::string> text = read_file(folder.path_of("tokenizer_config.json"));
  if (!text.ok()) return spec.max_positions;
  const double length = find_number(*text, "model_max_length").value_or(0);
  return length >= kMinTokens && length < spec.max_positions ? static_cast<int32_t>(length)
                                                             : spec.max_positions;
}

}  // namespace tilewise::checkpoint
