#include "engine/loaded_model.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "engine/engine.h"

namespace tilewise::engine {
namespace {

std::string task_names(const artifact::Metadata& metadata) {
  std::string names;
  for (const auto& entry : metadata.tasks) {
    if (!names.empty()) names += ", ";
    names += entry.task.name;
  }
  return names;
}

}  // namespace

Status check_alike(const artifact::Metadata& metadata, const TaskSet& tasks) {
  const model::Task& first = metadata.tasks[tasks.front()].task;
  for (const int32_t index : tasks) {
    const model::Task& other = metadata.tasks[index].task;
    if (first.input == other.input && first.max_tokens == other.max_tokens &&
        first.truncation == other.truncation && first.record_template == other.record_template) {
      continue;
    }
    return invalid_argument(
        {.what = "these tasks cannot share one pass: they read their input differently",
         .where = "tasks",
         .expected = "the same input kind, template, max_tokens and truncation",
         .found = first.name + " and " + other.name,
         .remedy = "Run them one after the other"});
  }
  return {};
}

void join_names(const artifact::Metadata& metadata, const TaskSet& tasks, std::string& names) {
  names.clear();
  for (const int32_t task : tasks) {
    if (!names.empty()) names += ',';
    names += metadata.tasks[task].task.name;
  }
}

int32_t raw_width(const artifact::Metadata& metadata, int32_t task) {
  const model::Task& description = metadata.tasks[task].task;
  if (description.kind == model::TaskKind::embedding) return metadata.spec.hidden;
  return description.outputs() + (description.exits.empty() ? 0 : 1);
}

Result<std::shared_ptr<const LoadedModel>> LoadedModel::open(
    const std::string& path, const std::optional<Isa>& isa,
    std::span<const std::shared_ptr<const LoadedModel>> relatives, bool verify) {
  std::shared_ptr<LoadedModel> model(new LoadedModel);
  TILEWISE_ASSIGN_OR_RETURN(model->artifact_, artifact::Artifact::open(path));
  if (verify) TILEWISE_RETURN_IF_ERROR(model->artifact_->verify());
  // First those that a relative has borrowed from itself: what is in memory already.
  std::vector<std::shared_ptr<const artifact::Artifact>> lenders;
  for (const auto& relative : relatives) {
    lenders.insert(lenders.end(), relative->lenders_.begin(), relative->lenders_.end());
    lenders.push_back(relative->artifact_);
  }
  runtime::TensorSource source(lenders);
  TILEWISE_ASSIGN_OR_RETURN(model->weights_, runtime::bind(*model->artifact_, source));
  TILEWISE_ASSIGN_OR_RETURN(
      model->kernels_, runtime::choose_kernels(cpu_features(), model->metadata().precision, isa));
  TILEWISE_RETURN_IF_ERROR(model->open_tokenizer(path, source));
  model->lenders_ = source.used();
  model->shared_bytes_ = source.shared_bytes();
  for (const auto bytes : source.unused()) model->artifact_->release(bytes);
  return std::shared_ptr<const LoadedModel>(std::move(model));
}

Status LoadedModel::open_tokenizer(const std::string& path, runtime::TensorSource& source) {
  const artifact::TensorView* tables = artifact_->find("tokenizer");
  if (tables == nullptr) {
    return invalid_input({.what = "the artifact has no tokenizer",
                          .where = path,
                          .expected = "a tensor named tokenizer",
                          .remedy = "Compile the checkpoint again"});
  }
  TILEWISE_ASSIGN_OR_RETURN(tokenizer_, text::Tokenizer::open(source.data(*tables)));
  const int32_t vocabulary = metadata().spec.vocab_size;
  if (tokenizer_->vocabulary_size() > vocabulary) {
    return invalid_input({.what = "the tokenizer knows more tokens than the model",
                          .where = path,
                          .expected = "at most " + std::to_string(vocabulary),
                          .found = std::to_string(tokenizer_->vocabulary_size()),
                          .remedy = "Compile the checkpoint with its own tokenizer"});
  }
  return {};
}

Result<TaskSet> LoadedModel::find_tasks(const std::string& names) const {
  const auto& entries = metadata().tasks;
  TaskSet tasks;
  std::istringstream list(names);
  for (std::string name; std::getline(list, name, ',');) {
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [&](const auto& entry) { return entry.task.name == name; });
    if (found == entries.end()) {
      return not_found({.what = "the model has no such task",
                        .where = "tasks",
                        .expected = "one of: " + task_names(metadata()),
                        .found = name});
    }
    const auto index = static_cast<int32_t>(found - entries.begin());
    if (std::find(tasks.begin(), tasks.end(), index) == tasks.end()) tasks.push_back(index);
  }
  if (tasks.empty()) {
    return invalid_argument({.what = "no task is named",
                             .expected = "one of: " + task_names(metadata()),
                             .remedy = "Name one"});
  }
  TILEWISE_RETURN_IF_ERROR(check_alike(metadata(), tasks));
  return tasks;
}

Result<Worker> LoadedModel::create_worker(std::shared_ptr<runtime::Team> team) const {
  std::vector<model::Pooling> poolings;
  for (const auto& entry : metadata().tasks) poolings.push_back(entry.task.pooling);
  TILEWISE_ASSIGN_OR_RETURN(
      runtime::Replica replica,
      runtime::Replica::create(weights_, kernels_, poolings, std::move(team)));
  return Worker(metadata(), tokenizer(), std::move(replica));
}

}  // namespace tilewise::engine
