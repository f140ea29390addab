#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "checkpoint/adapter.h"
#include "checkpoint/classification.h"
#include "checkpoint/family.h"
#include "checkpoint/folder.h"
#include "checkpoint/sentence_transformers.h"
#include "checkpoint/tasks_file.h"
#include "checkpoint/tensor_reader.h"

namespace tilewise::checkpoint {
namespace {

constexpr const char* kArchitecture = "architecture";  // the subject of findings on config.json
constexpr const char* kConfig = "config.json";
constexpr const char* kTasks = "tasks.json";
constexpr const char* kHeads = "heads.safetensors";

std::string summary(const model::EncoderSpec& spec) {
  return std::to_string(spec.layers) + " layers, hidden " + std::to_string(spec.hidden) + ", " +
         std::to_string(spec.heads) + " heads, vocabulary " + std::to_string(spec.vocab_size) +
         ", up to " + std::to_string(spec.max_positions) + " tokens";
}

std::string summary(const model::Task& task) {
  std::string text = std::string(name_of(task.kind)) + " on a " + name_of(task.input);
  if (task.labels.size() > 1) text += ", " + std::to_string(task.labels.size()) + " labels";
  text += std::string(", ") + name_of(task.pooling) + " pooling, up to " +
          std::to_string(task.max_tokens) + " tokens";
  if (task.normalize) text += ", normalised";
  for (const model::Exit& exit : task.exits) {
    text += (&exit == &task.exits.front() ? ", exits after layer " : ", ") +
            std::to_string(exit.after_layer);
  }
  return text;
}

/// "BertModel, BertForMaskedLM, ...".
std::string supported_architectures() {
  std::string names;
  for (const Family* family : families()) {
    for (const std::string_view name : family->encoder_architectures())
      names.append(name).append(", ");
    names.append(family->classifier_architecture()).append(", ");
  }
  names.resize(names.size() - 2);
  return names;
}

/// Whether all sizes are known, so that weights can be compared with them.
bool is_complete(const model::EncoderSpec& spec) {
  return spec.vocab_size > 0 && spec.hidden > 0 && spec.layers > 0 && spec.heads > 0 &&
         spec.intermediate > 0 && spec.max_positions > 0;
}

/// One reading of a checkpoint. Each step works with what the steps before it found and reports
/// what is wrong, so that check() sees everything and load() stops at the first problem.
class Reading {
 public:
  Reading(const Source& source, Mode mode, Report& report)
      : mode_(mode),
        report_(report),
        folder_(source.folder, sources_),
        backbone_(source.backbone.empty() ? source.folder : source.backbone, sources_),
        apart_(!source.backbone.empty()) {}

  void run() {
    check_folders();
    read_config();
    read_tasks();
    read_weights();
    read_adapter();
    if (report_.ok() && mode_ == Mode::load) hash_sources();
  }
  model::Model take_model() && { return std::move(model_); }

 private:
  void check_folders();
  void read_config();
  void read_spec(const JsonObject& config);
  void read_tasks();
  void read_task_file();
  void check_backbone_hash(const TasksFile& file);
  void read_default_task();
  void read_weights();
  void read_classifier_heads(const JsonObject& config, TensorReader& tensors);
  void read_file_heads();
  bool labels_fit(const model::Task& task, const std::string& weight, TensorReader& tensors);
  void read_adapter();
  void note_unused(const char* subject, const TensorReader& tensors);
  void hash_sources();

  bool is_classifier() const {
    return family_ && architecture_ == family_->classifier_architecture();
  }

  Mode mode_;
  Report& report_;
  SourceFiles sources_;
  Folder folder_;
  Folder backbone_;
  bool apart_;  // the backbone lies in a folder of its own

  std::optional<JsonFile> config_;
  const Family* family_ = nullptr;  // null when the architecture is not supported
  std::string architecture_;
  bool checkpoint_head_ =
      false;  // tasks use the checkpoint's own classifier, not heads.safetensors
  model::Model model_;
  std::vector<std::vector<std::string>> exit_heads_;  // of each task of tasks.json
};

void Reading::check_folders() {
  if (!apart_) return;
  if (!folder_.has(kTasks) && !folder_.has(kAdapterConfig)) {
    report_.problem("folder",
                    invalid_argument({"The folder has nothing to put on a backbone", folder_.path(),
                                      std::string(kTasks) + " or " + kAdapterConfig, "",
                                      "Leave the backbone out if this is a whole checkpoint"}));
  }
  if (backbone_.has(kAdapterConfig)) {
    report_.problem("backbone",
                    unsupported({"The backbone has an adapter of its own",
                                 backbone_.path_of(kAdapterConfig), "a backbone without adapter",
                                 "", "Merge it with PEFT (merge_and_unload) first"}));
  }
}

void Reading::read_config() {
  if (!backbone_.has(kConfig)) {
    return report_.problem(
        kArchitecture,
        not_found({"There is no backbone here", backbone_.path(), kConfig, "",
                   apart_ ? "Give the folder of a Hugging Face checkpoint"
                          : "Give the folder of the backbone, too (--backbone DIR)"}));
  }
  Result<JsonFile> file = backbone_.read_json(kConfig);
  if (!file.ok()) return report_.problem(kArchitecture, file.status());
  config_ = *std::move(file);
  if (const auto config = config_->object(report_, kArchitecture)) read_spec(*config);
}

void Reading::read_spec(const JsonObject& config) {
  const auto names = config.strings("architectures").value_or(std::vector<std::string>());
  const std::string type = config.string("model_type").value_or("");
  const Family* family = config.has("model_type") ? find_family(type)
                         : names.empty()          ? nullptr
                                                  : find_family_of(names.front());
  architecture_ = !names.empty() ? names.front()
                  : family       ? std::string(family->encoder_architectures().front())
                                 : type;
  if (!family || !family->has_architecture(architecture_)) {
    const std::string_view reason = reason_against(type);
    return report_.problem(
        kArchitecture,
        unsupported({reason.empty() ? "The architecture is not supported" : std::string(reason),
                     config.where("architectures"), supported_architectures(),
                     architecture_ + " (model_type " + config.text_of("model_type") + ")", ""}));
  }
  const int before = report_.problems();
  family_ = family;
  model_.spec = family->read_spec(config);
  model_.provenance.architecture = architecture_;
  if (report_.problems() == before)
    report_.supported(kArchitecture, architecture_ + ", " + summary(model_.spec));
}

void Reading::read_tasks() {
  if (folder_.has(kTasks)) {
    read_task_file();
  } else if (config_ && family_) {
    read_default_task();
  }
  for (const model::TaskWithHead& entry : model_.tasks) {
    const std::string subject = "task " + entry.task.name;
    if (entry.task.input == model::InputKind::pair && model_.spec.token_types == 1) {
      report_.problem(subject, unsupported({"A pair needs two token types",
                                            backbone_.path_of(kConfig) + ": type_vocab_size",
                                            "at least 2", "1", ""}));
    } else {
      report_.supported(subject, summary(entry.task));
    }
  }
}

void Reading::read_task_file() {
  Result<JsonFile> file = folder_.read_json(kTasks);
  if (!file.ok()) return report_.problem(kTasks, file.status());
  checkpoint_head_ = is_classifier() && !folder_.has(kHeads);
  TasksContext context{model_.spec, longest_sequence(backbone_, model_.spec), checkpoint_head_};
  if (checkpoint_head_) {
    const auto config = config_->object(report_, kTasks);
    context.classifier_pooling = family_->classifier_pooling(*config);
  }
  TasksFile tasks = checkpoint::read_tasks(*file, context, report_);
  for (model::Task& task : tasks.tasks) model_.tasks.push_back({std::move(task), std::nullopt});
  exit_heads_ = std::move(tasks.exit_heads);
  check_backbone_hash(tasks);
}

void Reading::check_backbone_hash(const TasksFile& file) {
  constexpr const char* kWeights = "model.safetensors";
  if (!file.backbone_sha256 || !config_) return;
  const std::string where = folder_.path_of(kTasks) + ": backbone.sha256";
  if (!backbone_.has(kWeights)) {
    return report_.problem(
        "backbone", unsupported({"The hash of a backbone in several files cannot be checked", where,
                                 kWeights, "", "Leave the hash out"}));
  }
  const Result<std::string> found = backbone_.sha256(kWeights);
  if (!found.ok()) return report_.problem("backbone", found.status());
  if (*found == *file.backbone_sha256) return;
  report_.problem(
      "backbone",
      invalid_input({"This is not the backbone that the tasks were trained on", where,
                     *file.backbone_sha256, *found + " of " + backbone_.path_of(kWeights),
                     file.backbone_name.empty() ? "Give the backbone of the training"
                                                : "Give the backbone of " + file.backbone_name}));
}

void Reading::read_default_task() {
  const int32_t longest = longest_sequence(backbone_, model_.spec);
  const Folder& described = folder_.has("modules.json") ? folder_ : backbone_;
  if (!is_classifier()) {
    const int before = report_.problems();
    model::Task task = read_embedding_task(described, model_.spec, longest, report_);
    if (report_.problems() == before) model_.tasks.push_back({std::move(task), std::nullopt});
    return;
  }
  checkpoint_head_ = true;
  const auto config = config_->object(report_, "task");
  const auto activation = cross_encoder_activation(backbone_, *config, report_);
  auto task = read_classification_task(*config, activation, longest);
  if (task) task->pooling = family_->classifier_pooling(*config);
  if (task) model_.tasks.push_back({*std::move(task), std::nullopt});
}

void Reading::read_weights() {
  constexpr const char* kSubject = "weights";
  if (!config_) return;
  Result<WeightFiles> files = WeightFiles::open_model(backbone_);
  if (!files.ok()) return report_.problem(kSubject, files.status());
  if (!family_ || !is_complete(model_.spec)) return;  // no shapes to compare with

  const int before = report_.problems();
  TensorReader tensors(*files, mode_, report_, kSubject);
  const auto config = config_->object(report_, kSubject);
  model_.weights = read_encoder(*family_, *config, model_.spec, tensors);
  if (checkpoint_head_) {
    read_classifier_heads(*config, tensors);
  } else {
    read_file_heads();
  }
  if (report_.problems() == before) report_.supported(kSubject, files->summary());
  note_unused(kSubject, tensors);
}

void Reading::read_classifier_heads(const JsonObject& config, TensorReader& tensors) {
  const std::string prefix = encoder_prefix(*family_, tensors);
  const std::string output = std::string(family_->classifier_output_name()) + ".weight";
  for (model::TaskWithHead& entry : model_.tasks) {
    const int32_t outputs = entry.task.outputs();
    if (outputs == 0 || !labels_fit(entry.task, output, tensors)) continue;
    entry.head = family_->read_classifier(config, model_.spec, outputs, prefix, tensors);
  }
}

void Reading::read_file_heads() {
  const bool needed =
      std::any_of(model_.tasks.begin(), model_.tasks.end(),
                  [](const model::TaskWithHead& entry) { return entry.task.outputs() > 0; });
  if (!needed) return;
  const Result<WeightFiles> files = WeightFiles::open_file(folder_, kHeads);
  if (!files.ok()) return report_.problem("heads", files.status());
  TensorReader tensors(*files, mode_, report_, "heads");
  for (model::TaskWithHead& entry : model_.tasks) {
    const int32_t outputs = entry.task.outputs();
    if (outputs == 0 || !labels_fit(entry.task, entry.task.name + ".weight", tensors)) continue;
    entry.head.emplace().output = tensors.linear(entry.task.name, outputs, model_.spec.hidden);
    for (const std::string& name : exit_heads_[static_cast<size_t>(&entry - model_.tasks.data())]) {
      if (!labels_fit(entry.task, name + ".weight", tensors)) continue;
      entry.exits.push_back(tensors.linear(name, outputs, model_.spec.hidden));
    }
  }
  note_unused("heads", tensors);
}

/// Whether the head's outputs are as many as the labels; a clearer message than a wrong shape.
bool Reading::labels_fit(const model::Task& task, const std::string& weight,
                         TensorReader& tensors) {
  const std::vector<int64_t> shape = tensors.shape(weight);
  if (shape.size() != 2 || shape[0] == task.outputs())
    return true;  // any other problem: the reader reports it
  report_.problem(
      "task " + task.name,
      invalid_input({"The labels do not fit the head", tensors.files().path() + ": " + weight,
                     std::to_string(task.outputs()) + " outputs", std::to_string(shape[0]), ""}));
  return false;
}

void Reading::read_adapter() {
  if (!folder_.has(kAdapterConfig)) return;
  constexpr const char* kSubject = "adapter";
  const int before = report_.problems();
  const Result<JsonFile> config = folder_.read_json(kAdapterConfig);
  if (!config.ok()) return report_.problem(kSubject, config.status());
  const AdapterSettings settings = read_adapter_settings(*config, report_);
  const Result<WeightFiles> files = WeightFiles::open_file(folder_, kAdapterWeights);
  if (!files.ok()) return report_.problem(kSubject, files.status());
  if (!family_ || !is_complete(model_.spec) || report_.problems() > before) return;
  model_.adapter = checkpoint::read_adapter(*family_, model_.spec, settings, checkpoint_head_,
                                            *files, mode_, report_);
  if (report_.problems() > before) return;
  report_.supported(kSubject, "LoRA of rank " + std::to_string(settings.rank) + " on " +
                                  std::to_string(model_.adapter.size()) + " linear layers");
}

/// Tensors that no task needs (a pooler, a language model's head) are left out; the reader of
/// `check` is told.
void Reading::note_unused(const char* subject, const TensorReader& tensors) {
  std::vector<std::string> names = tensors.unused();
  std::erase_if(names, [](const std::string& name) { return name.ends_with("position_ids"); });
  if (names.empty() || !report_.ok()) return;
  std::string text = names.front();
  if (names.size() > 1) text += " and " + std::to_string(names.size() - 1) + " more";
  report_.note(subject, "not used by any task: " + text);
}

void Reading::hash_sources() {
  auto sources = sources_.hash_all();
  if (!sources.ok()) return report_.problem("provenance", sources.status());
  model_.provenance.sources = *std::move(sources);
}

/// Every problem and success of a checkpoint; fails only when there is no folder to read.
Result<model::Model> read(const Source& source, Mode mode, Report& report) {
  TILEWISE_RETURN_IF_ERROR(Folder::check(source.folder));
  if (!source.backbone.empty()) TILEWISE_RETURN_IF_ERROR(Folder::check(source.backbone));
  Reading reading(source, mode, report);
  reading.run();
  return std::move(reading).take_model();
}

}  // namespace

Result<model::Model> load(const Source& source) {
  Report report;
  TILEWISE_ASSIGN_OR_RETURN(model::Model model, read(source, Mode::load, report));
  if (!report.ok()) return report.first_problem();
  return model;
}

Result<std::vector<Finding>> check(const Source& source) {
  Report report;
  const Result<model::Model> model = read(source, Mode::check, report);
  if (!model.ok()) return model.status();
  return std::move(report).take_findings();
}

}  // namespace tilewise::checkpoint
