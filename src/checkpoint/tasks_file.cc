#include "checkpoint/tasks_file.h"

#include <algorithm>
#include <initializer_list>
#include <set>

#include "checkpoint/task_exits.h"

namespace tilewise::checkpoint {
namespace {

using model::InputKind;
using model::Task;
using model::TaskKind;
using model::Truncation;

constexpr size_t kMaxNameBytes = 100;
constexpr size_t kMaxLabels = 1 << 20;

/// A task's name stands in flags ("--task a,b"), JSON keys and tensor names.
bool is_name(const std::string& name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), allowed);
}

bool has_distinct_texts(const std::vector<std::string>& texts) {
  const std::set<std::string> set(texts.begin(), texts.end());
  return set.size() == texts.size() && !set.contains("");
}

/// Reads the fields of one task. Each read_ function leaves its default where it reports a problem.
class TaskReader {
 public:
  TaskReader(const JsonObject& object, const TasksContext& context)
      : object_(object), context_(context) {}

  Task read() {
    object_.refuse_other_keys({"name", "kind", "input", "pooling", "labels", "threshold",
                               "temperature", "max_tokens", "truncation", "template",
                               "out_of_scope", "normalize", "exits"});
    task_.name = object_.string("name").value_or("");
    if (!is_name(task_.name)) object_.wrong("name", "letters, digits, _ - and . only, at most 100");
    if (!read_enum("kind", task_.kind, "binary, multiclass, multilabel, regression or embedding",
                   true)) {
      return std::move(task_);  // what else is right depends on it
    }
    read_enum("input", task_.input, "text or pair", true);
    read_enum("truncation", task_.truncation, "longest_first, only_first or only_second", false);
    read_pooling();
    read_labels();
    read_max_tokens();
    read_numbers();
    read_template();
    read_out_of_scope();
    check_truncation();
    read_exits();
    return std::move(task_);
  }

  /// After read().
  std::vector<std::string> take_exit_heads() { return std::move(exit_heads_); }

 private:
  /// False after a problem.
  template <class Enum>
  bool read_enum(const char* key, Enum& value, const char* names, bool required) {
    if (!object_.has(key)) {
      if (required) object_.missing(key);
      return !required;
    }
    const auto name = object_.string(key);
    if (!name) return false;
    const auto parsed = model::parse_name<Enum>(*name);
    if (!parsed) {
      object_.wrong(key, names);
      return false;
    }
    value = *parsed;
    return true;
  }

  /// Reports a field that means nothing for the task's kind; true if it is there and may be read.
  bool suits(const char* key, std::initializer_list<TaskKind> kinds) {
    if (!object_.has(key)) return false;
    if (std::find(kinds.begin(), kinds.end(), task_.kind) != kinds.end()) return true;
    object_.problem(
        invalid_input({"A field does not suit the kind of the task", object_.where(key),
                       "no such field", std::string("a task of kind ") + name_of(task_.kind), ""}));
    return false;
  }

  void read_pooling() {
    const bool own_head = context_.checkpoint_head && task_.kind != TaskKind::embedding;
    read_enum("pooling", task_.pooling, "mean or cls", !own_head);
    if (!own_head) return;
    const model::Pooling pooling = context_.classifier_pooling;
    if (object_.has("pooling") && task_.pooling != pooling) {
      object_.wrong("pooling", std::string(name_of(pooling)) +
                                   ", on which the checkpoint's own classifier stands (there is "
                                   "no heads.safetensors)");
    }
    task_.pooling = pooling;
  }

  void read_labels() {
    if (task_.kind == TaskKind::regression || task_.kind == TaskKind::embedding) {
      if (object_.is_set("labels"))
        suits("labels", {TaskKind::binary, TaskKind::multiclass, TaskKind::multilabel});
      return;
    }
    if (!object_.has("labels")) return object_.missing("labels");
    auto labels = object_.strings("labels");
    if (!labels) return;
    const bool binary = task_.kind == TaskKind::binary;
    const size_t least = task_.kind == TaskKind::multiclass ? 2 : 1;
    if (labels->size() < least || labels->size() > (binary ? 1 : kMaxLabels) ||
        !has_distinct_texts(*labels)) {
      object_.wrong("labels", binary
                                  ? "one label: the name of the positive class"
                                  : "at least " + std::to_string(least) +
                                        " distinct, non-empty labels in the order of the logits");
      return;
    }
    task_.labels = *std::move(labels);
  }

  void read_max_tokens() {
    // [CLS] and [SEP] (twice for a pair) and room for one token of text.
    const int32_t least = task_.input == InputKind::pair ? 4 : 3;
    const int32_t most = context_.spec.max_positions > 0 ? context_.spec.max_positions : kNoLimit;
    task_.max_tokens = context_.longest;
    if (object_.has("max_tokens"))
      task_.max_tokens = object_.integer("max_tokens", least, most).value_or(0);
  }

  void read_numbers() {
    if (suits("threshold", {TaskKind::binary, TaskKind::multilabel})) {
      if (const auto value = object_.number("threshold"))
        task_.threshold = static_cast<float>(*value);
    }
    if (suits("temperature", {TaskKind::binary, TaskKind::multiclass, TaskKind::multilabel})) {
      const auto value = object_.number("temperature");
      if (value) task_.temperature = static_cast<float>(*value);
      if (value && !(task_.temperature > 0)) object_.wrong("temperature", "a number over 0");
    }
    if (suits("normalize", {TaskKind::embedding}))
      task_.normalize = object_.boolean("normalize").value_or(false);
  }

  void read_template() {
    const auto form = object_.object("template");
    if (!form) return;
    form->refuse_other_keys({"fields", "separator"});
    task_.record_template.separator = form->string("separator").value_or(" ");
    if (!form->has("fields")) return form->missing("fields");
    const auto fields = form->array("fields");
    if (!fields) return;
    std::set<std::string> names;
    for (const JsonObject::Element& field : *fields) {
      const auto* parts = field.value->as_array();
      const auto* name = parts && parts->size() == 2 ? (*parts)[0].as_string() : nullptr;
      const auto* prefix = name ? (*parts)[1].as_string() : nullptr;
      if (!prefix || name->empty() || !names.insert(*name).second) {
        return form->wrong("fields", "an array of [\"field\", \"prefix\"], each field once");
      }
      task_.record_template.fields.push_back({*name, *prefix});
    }
    if (task_.record_template.fields.empty())
      form->wrong("fields", "at least one [\"field\", \"prefix\"]");
  }

  void read_out_of_scope() {
    if (!suits("out_of_scope", {TaskKind::multiclass})) return;
    const auto rule = object_.object("out_of_scope");
    if (!rule) return;
    rule->refuse_other_keys({"score", "below"});
    const auto score = rule->required_string("score");
    if (score && *score != "logsumexp") {
      rule->problem(unsupported({"The score of out_of_scope is not supported", rule->where("score"),
                                 "logsumexp", *score, ""}));
    }
    if (!rule->has("below")) return rule->missing("below");
    if (const auto below = rule->number("below"))
      task_.out_of_scope = model::OutOfScope{static_cast<float>(*below)};
  }

  void read_exits() {
    if (!suits("exits", {TaskKind::binary, TaskKind::multiclass})) return;
    if (context_.checkpoint_head) {
      object_.wrong("exits", "none, as there is no heads.safetensors to take their heads from");
      return;
    }
    exit_heads_ = checkpoint::read_exits(object_, context_.spec.layers, task_);
  }

  void check_truncation() {
    if (task_.input == InputKind::text && task_.truncation == Truncation::only_second) {
      object_.wrong("truncation", "longest_first or only_first for a single text");
    }
  }

  const JsonObject& object_;
  const TasksContext& context_;
  Task task_;
  std::vector<std::string> exit_heads_;
};

void read_backbone(const JsonObject& root, TasksFile& file) {
  const auto backbone = root.object("backbone");
  if (!backbone) return;
  backbone->refuse_other_keys({"package", "folder", "sha256"});
  file.backbone_name = backbone->string("package").value_or("");
  auto sha256 = backbone->string("sha256");
  if (!sha256) return;
  const bool hex =
      sha256->size() == 64 && sha256->find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!hex) return backbone->wrong("sha256", "64 lower-case hexadecimal digits");
  file.backbone_sha256 = *std::move(sha256);
}

}  // namespace

TasksFile read_tasks(const JsonFile& file, const TasksContext& context, Report& report) {
  TasksFile result;
  const auto root = file.object(report, "tasks.json");
  if (!root) return result;
  root->refuse_other_keys({"backbone", "tasks"});
  read_backbone(*root, result);
  if (!root->has("tasks")) root->missing("tasks");
  const auto entries = root->array("tasks");
  if (!entries) return result;
  if (entries->empty()) root->wrong("tasks", "at least one task");

  std::set<std::string> names;
  for (const JsonObject::Element& entry : *entries) {
    const auto untitled = root->as_object(entry);
    if (!untitled) continue;
    std::string name = entry.where.substr(entry.where.rfind(' ') + 1);
    const JsonValue* own_name = entry.value->find("name");
    if (own_name && own_name->as_string()) name = *own_name->as_string();
    const JsonObject object = untitled->under("task " + name);
    const int before = report.problems();
    TaskReader reader(object, context);
    Task task = reader.read();
    if (!names.insert(task.name).second) object.wrong("name", "a name that no other task has");
    if (report.problems() > before) continue;
    result.tasks.push_back(std::move(task));
    result.exit_heads.push_back(reader.take_exit_heads());
  }
  return result;
}

}  // namespace tilewise::checkpoint
