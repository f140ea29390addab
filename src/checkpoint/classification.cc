#include "checkpoint/classification.h"

#include <set>
#include <vector>

namespace tilewise::checkpoint {
namespace {

using model::TaskKind;

constexpr int32_t kMaxLabels = 1 << 20;
constexpr int32_t kDefaultLabels = 2;

/// id2label in the order of the logits; Hugging Face's names where it is absent.
std::optional<std::vector<std::string>> read_labels(const JsonObject& config, int32_t count) {
  std::vector<std::string> labels;
  std::set<std::string> seen;
  const auto id2label = config.object("id2label");
  for (int32_t i = 0; i < count; ++i) {
    const std::string id = std::to_string(i);
    auto label = id2label ? id2label->required_string(id) : "LABEL_" + id;
    if (!label) return std::nullopt;
    if (!seen.insert(*label).second) {
      config.problem(invalid_input({"Two labels have the same name", config.where("id2label"),
                                    "distinct names", *label, ""}));
      return std::nullopt;
    }
    labels.push_back(std::move(*label));
  }
  return labels;
}

std::optional<TaskKind> refuse(const JsonObject& config, const char* key,
                               const std::string& expected) {
  config.problem(unsupported({"This kind of head is not supported", config.where(key), expected,
                              config.text_of(key), "Describe the task in a tasks.json"}));
  return std::nullopt;
}

std::optional<TaskKind> kind_of_problem_type(const JsonObject& config, const std::string& type,
                                             int32_t count) {
  if (type == "regression" && count == 1) return TaskKind::regression;
  if (type == "single_label_classification" && count > 1) return TaskKind::multiclass;
  if (type == "multi_label_classification") return TaskKind::multilabel;
  return refuse(config, "problem_type",
                "regression with 1 label, single_label_classification with 2 or more, or "
                "multi_label_classification; there are " +
                    std::to_string(count) + " labels");
}

std::optional<TaskKind> kind_of_one_logit(const JsonObject& config,
                                          const std::optional<std::string>& activation) {
  if (!activation) {
    config.report().note(config.subject(),
                         "one label and no problem_type: the raw value, as Hugging Face trains it; "
                         "where it was trained to be "
                         "scored with a sigmoid, say so in a tasks.json with kind binary");
    return TaskKind::regression;
  }
  if (*activation == "Sigmoid") return TaskKind::binary;
  if (*activation == "Identity") return TaskKind::regression;
  config.problem(
      unsupported({"The activation of the cross-encoder is not supported", config.where(),
                   "Sigmoid or Identity", *activation, "Describe the task in a tasks.json"}));
  return std::nullopt;
}

}  // namespace

int32_t read_label_count(const JsonObject& config) {
  if (const auto labels = config.object("id2label")) {
    const size_t count = labels->keys().size();
    if (count >= 1 && count <= kMaxLabels) return static_cast<int32_t>(count);
    config.wrong("id2label", "a label for each logit");
    return 0;
  }
  if (!config.has("num_labels")) return kDefaultLabels;
  return config.integer("num_labels", 1, kMaxLabels).value_or(0);
}

std::optional<model::Task> read_classification_task(
    const JsonObject& config, const std::optional<std::string>& cross_encoder_activation,
    int32_t max_tokens) {
  const int32_t count = read_label_count(config);
  if (count == 0) return std::nullopt;
  const auto problem_type = config.string("problem_type");
  const auto kind = problem_type ? kind_of_problem_type(config, *problem_type, count)
                    : count > 1  ? TaskKind::multiclass
                                 : kind_of_one_logit(config, cross_encoder_activation);
  if (!kind) return std::nullopt;

  model::Task task;
  task.kind = *kind;
  task.name = task.kind == TaskKind::regression ? "regression" : "classification";
  task.input = cross_encoder_activation ? model::InputKind::pair : model::InputKind::text;
  task.pooling = model::Pooling::cls;
  task.max_tokens = max_tokens;
  if (task.kind != TaskKind::regression) {
    auto labels = read_labels(config, count);
    if (!labels) return std::nullopt;
    task.labels = *std::move(labels);
  }
  return task;
}

}  // namespace tilewise::checkpoint
