#include <algorithm>
#include <utility>

#include <tilewise/tilewise.h>

#include "api/convert.h"
#include "api/model_state.h"
#include "engine/engine.h"

namespace tilewise {

const char* version() { return TILEWISE_VERSION; }

namespace api {

Result<int32_t> find_task(const artifact::Metadata& metadata, const std::string& name) {
  std::string names;
  for (size_t i = 0; i < metadata.tasks.size(); ++i) {
    const model::Task& task = metadata.tasks[i].task;
    if (task.name == name) return static_cast<int32_t>(i);
    names.append(names.empty() ? "" : ", ").append(task.name);
  }
  return not_found({"The model has no such task", name, names, "", ""});
}

Result<int32_t> find_task(const artifact::Metadata& metadata, const std::string& name,
                          model::InputKind input) {
  TILEWISE_ASSIGN_OR_RETURN(const int32_t index, find_task(metadata, name));
  const model::Task& task = metadata.tasks[static_cast<size_t>(index)].task;
  if (task.input == input) return index;
  const bool pairs = task.input == model::InputKind::pair;
  return invalid_argument({std::string("The task takes ") + (pairs ? "pairs" : "single texts"),
                           name, "", "", pairs ? "Call score()" : "Call predict()"});
}

int32_t outputs_of(const artifact::Metadata& metadata, int32_t task) {
  const model::Task& description = metadata.tasks[static_cast<size_t>(task)].task;
  return description.kind == model::TaskKind::embedding ? metadata.spec.hidden
                                                        : description.outputs();
}

Status check_single(const PredictOptions& options) {
  if (!options.both_orders) return {};
  return invalid_argument(
      {"A single text has no other order", "PredictOptions::both_orders", "false", "true", ""});
}

}  // namespace api

namespace {

using Answers = std::vector<Result<Prediction>>;

template <class Item>
Result<Answers> answer(engine::Engine& engine, const std::string& name,
                       const std::vector<Item>& items, model::InputKind input,
                       const PredictOptions& options) {
  TILEWISE_ASSIGN_OR_RETURN(const int32_t index, api::find_task(engine.metadata(), name, input));
  TILEWISE_ASSIGN_OR_RETURN(const engine::PredictOptions converted, api::to_engine(options));
  std::vector<model::Input> inputs;
  inputs.reserve(items.size());
  for (const Item& item : items) inputs.push_back(api::to_input(item));

  const model::Task& task = engine.metadata().tasks[static_cast<size_t>(index)].task;
  Answers answers;
  answers.reserve(items.size());
  for (engine::Outcome& outcome : engine.predict(inputs, {index}, converted)) {
    if (outcome.status.ok()) {
      answers.emplace_back(api::to_public(task, std::move(outcome.predictions.front())));
    } else {
      answers.emplace_back(std::move(outcome.status));
    }
  }
  return answers;
}

}  // namespace

Result<Model> Model::open(const std::string& path, const OpenOptions& options) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::Options converted, api::to_engine(options));
  TILEWISE_ASSIGN_OR_RETURN(std::shared_ptr<engine::Engine> engine,
                            engine::Engine::open(path, converted));
  return Model(std::make_shared<const State>(State{std::move(engine)}));
}

std::vector<TaskInfo> Model::tasks() const {
  std::vector<TaskInfo> tasks;
  const auto& entries = state_->engine->metadata().tasks;
  for (size_t i = 0; i < entries.size(); ++i) {
    tasks.push_back(api::to_public(entries[i].task));
    tasks.back().outputs = api::outputs_of(state_->engine->metadata(), static_cast<int32_t>(i));
  }
  return tasks;
}

std::string Model::isa() const { return state_->engine->isa(); }

int32_t Model::replicas() const { return state_->engine->replicas(); }

Result<Answers> Model::predict(const std::string& task, const std::vector<Content>& texts,
                               const PredictOptions& options) const {
  TILEWISE_RETURN_IF_ERROR(api::check_single(options));
  return answer(*state_->engine, task, texts, model::InputKind::text, options);
}

Result<Answers> Model::score(const std::string& task, const std::vector<Pair>& pairs,
                             const PredictOptions& options) const {
  return answer(*state_->engine, task, pairs, model::InputKind::pair, options);
}

}  // namespace tilewise
