#include "server/kserve/outputs.h"

#include <algorithm>

namespace tilewise::server::kserve {
namespace {

constexpr OutputKind kClassifierWithExits[] = {OutputKind::logits, OutputKind::scores,
                                               OutputKind::label, OutputKind::depth};
constexpr std::span<const OutputKind> kClassifier = std::span(kClassifierWithExits).first(3);
constexpr OutputKind kRegression[] = {OutputKind::logits, OutputKind::scores};
constexpr OutputKind kEmbedding[] = {OutputKind::embedding};

std::string all_names(const artifact::Metadata& metadata, const engine::TaskSet& tasks) {
  std::string names;
  for (size_t t = 0; t < tasks.size(); ++t) {
    for (const OutputKind kind : outputs_of(metadata.tasks[tasks[t]].task)) {
      if (!names.empty()) names += ", ";
      names += output_name(metadata, tasks, t, kind);
    }
  }
  return names;
}

}  // namespace

std::string_view name_of(OutputKind kind) {
  switch (kind) {
    case OutputKind::logits:
      return "logits";
    case OutputKind::scores:
      return "scores";
    case OutputKind::label:
      return "label";
    case OutputKind::depth:
      return "depth";
    case OutputKind::embedding:
      return "embedding";
  }
  return "";
}

std::span<const OutputKind> outputs_of(const model::Task& task) {
  if (task.kind == model::TaskKind::embedding) return kEmbedding;
  if (task.kind == model::TaskKind::regression) return kRegression;
  return task.exits.empty() ? kClassifier : std::span<const OutputKind>(kClassifierWithExits);
}

std::string output_name(const artifact::Metadata& metadata, const engine::TaskSet& tasks,
                        size_t task, OutputKind kind) {
  std::string name;
  if (tasks.size() > 1) name = metadata.tasks[tasks[task]].task.name + ".";
  return name += name_of(kind);
}

Result<WantedOutput> find_output(std::string_view name, const artifact::Metadata& metadata,
                                 const engine::TaskSet& tasks) {
  for (size_t t = 0; t < tasks.size(); ++t) {
    const model::Task& task = metadata.tasks[tasks[t]].task;
    std::string_view rest = name;
    if (rest.starts_with(task.name) && rest.substr(task.name.size()).starts_with('.')) {
      rest.remove_prefix(task.name.size() + 1);
    } else if (tasks.size() > 1) {
      continue;
    }
    for (const OutputKind kind : outputs_of(task)) {
      if (rest == name_of(kind)) return WantedOutput{t, kind};
    }
  }
  return invalid_argument({.what = "the model has no such output",
                           .where = "output " + std::string(name),
                           .expected = "one of " + all_names(metadata, tasks)});
}

Status check_outputs(const InferCall& call, const artifact::Metadata& metadata,
                     const engine::TaskSet& tasks) {
  for (size_t i = 0; i < call.outputs.size(); ++i) {
    const RequestedOutput& output = call.outputs[i];
    TILEWISE_ASSIGN_OR_RETURN(const WantedOutput wanted, find_output(output.name, metadata, tasks));
    if (output.classification < 0 ||
        (output.classification > 0 && wanted.kind != OutputKind::logits &&
         wanted.kind != OutputKind::scores)) {
      return invalid_argument({.what = "the output cannot be given as classes",
                               .where = "output " + std::string(output.name),
                               .expected = "a classification of 1 or more, of logits or scores",
                               .found = std::to_string(output.classification)});
    }
    for (size_t k = 0; k < i; ++k) {
      if (call.outputs[k].name != output.name) continue;
      return invalid_argument(
          {.what = "the output is asked for twice", .where = "output " + std::string(output.name)});
    }
  }
  return {};
}

}  // namespace tilewise::server::kserve
