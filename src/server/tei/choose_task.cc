#include "server/tei/choose_task.h"

#include <algorithm>
#include <utility>

namespace tilewise::server {
namespace {

constexpr std::string_view kPurposes[] = {
    "a classifier", "a task that scores pairs with one number", "an embedding", "a task"};

std::string describe(const Wanted& wanted) {
  std::string text(kPurposes[static_cast<size_t>(wanted.purpose)]);
  if (wanted.input && wanted.purpose != Purpose::rerank) {
    text += std::string(" that reads ") + model::name_of(*wanted.input) + "s";
  }
  return text;
}

/// The only task of one model that suits.
Result<engine::Target> choose_of_model(const engine::Target& model, const Wanted& wanted) {
  const auto& of_model = model.model->metadata().tasks;
  std::vector<engine::TaskEntry> tasks;
  for (size_t t = 0; t < of_model.size(); ++t) {
    engine::Target one = model;
    one.tasks = {static_cast<int32_t>(t)};
    std::string name = name_of(one);
    tasks.push_back({std::move(name), std::move(one), &of_model[t].task});
  }
  TILEWISE_ASSIGN_OR_RETURN(const engine::TaskEntry* chosen, choose_only(tasks, wanted));
  return chosen->target;
}

/// "a, b, ..." of those that are to be shown.
template <class IsShown>
std::string names_of(std::span<const engine::TaskEntry> tasks, IsShown&& is_shown) {
  constexpr int kMost = 20;
  std::string names;
  int count = 0;
  for (const engine::TaskEntry& entry : tasks) {
    if (!is_shown(entry)) continue;
    if (count > 0) names += ", ";
    if (++count > kMost) return names + "...";
    names += entry.name;
  }
  return names;
}

Status cannot_answer(std::string_view name, const model::Task& task, const Wanted& wanted) {
  return unsupported({.what = "The task cannot answer this",
                      .where = "task " + std::string(name),
                      .expected = describe(wanted),
                      .found = model::name_of(task.kind)});
}

}  // namespace

bool Wanted::takes(const model::Task& task) const {
  switch (purpose) {
    case Purpose::predict:
      return task.kind != model::TaskKind::embedding;
    case Purpose::rerank:
      return task.input == model::InputKind::pair && task.outputs() == 1;
    case Purpose::embed:
      return task.kind == model::TaskKind::embedding;
    case Purpose::anything:
      return true;
  }
  return false;
}

bool Wanted::suits(const model::Task& task) const {
  return takes(task) && (!input || *input == task.input);
}

Result<const engine::TaskEntry*> choose_only(std::span<const engine::TaskEntry> candidates,
                                             const Wanted& wanted) {
  const auto is_classifier = [&](const engine::TaskEntry& entry) {
    return wanted.suits(*entry.task) && entry.task->kind != model::TaskKind::regression;
  };
  const bool classifiers_only = wanted.purpose == Purpose::predict &&
                                std::any_of(candidates.begin(), candidates.end(), is_classifier);
  const auto fits = [&](const engine::TaskEntry& entry) {
    return classifiers_only ? is_classifier(entry) : wanted.suits(*entry.task);
  };
  const auto first = std::find_if(candidates.begin(), candidates.end(), fits);
  if (first == candidates.end()) {
    const std::string names = names_of(candidates, [](const auto&) { return true; });
    return invalid_argument({.what = "No task that is served can answer this",
                             .expected = describe(wanted),
                             .found = names.empty() ? "no tasks" : names});
  }
  if (std::none_of(first + 1, candidates.end(), fits)) return &*first;
  return invalid_argument({.what = "Several tasks can answer this, and the request names none",
                           .where = "task",
                           .expected = "one of " + names_of(candidates, fits),
                           .found = "nothing",
                           .remedy = "Name it: \"task\" in the body, ?task=, or --default-task"});
}

Result<engine::Target> choose_task(const engine::Repository& repository, std::string_view asked,
                                   std::string_view default_task, const Wanted& wanted) {
  if (!asked.empty()) {
    TILEWISE_ASSIGN_OR_RETURN(engine::Target target, repository.find(asked));
    if (target.tasks.size() != 1) return choose_of_model(target, wanted);
    if (!wanted.takes(task_of(target))) return cannot_answer(asked, task_of(target), wanted);
    return target;
  }
  if (!default_task.empty()) {
    TILEWISE_ASSIGN_OR_RETURN(engine::Target target, repository.find(default_task));
    if (target.tasks.size() != 1) return choose_of_model(target, wanted);
    if (wanted.suits(task_of(target))) return target;
  }
  const auto tasks = repository.tasks();
  TILEWISE_ASSIGN_OR_RETURN(const engine::TaskEntry* chosen, choose_only(*tasks, wanted));
  return chosen->target;
}

Result<engine::Target> choose_tasks(const engine::Repository& repository, std::string_view asked) {
  std::optional<engine::Target> all;
  std::string names;
  for (std::string_view rest = asked; !rest.empty();) {
    const std::string_view name = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    TILEWISE_ASSIGN_OR_RETURN(
        engine::Target target,
        choose_task(repository, name, {}, {.purpose = Purpose::anything, .input = {}}));
    // By name: the model may have been swapped since the first of them was found.
    if (all && all->model_name != target.model_name) {
      return invalid_argument({.what = "Tasks of several models cannot answer one request",
                               .where = "task",
                               .expected = "tasks of " + all->model_name,
                               .found = std::string(name)});
    }
    if (!names.empty()) names += ',';
    names += task_of(target).name;
    if (!all) all = std::move(target);
  }
  if (!all) {
    return invalid_argument({.what = "No task is named", .where = "task"});
  }
  TILEWISE_ASSIGN_OR_RETURN(all->tasks, all->model->loaded().find_tasks(names));
  return std::move(*all);
}

std::string name_of(const engine::Target& target) {
  return target.model_name + "." + task_of(target).name;
}

const model::Task& task_of(const engine::Target& target) {
  return target.model->metadata().tasks[static_cast<size_t>(target.tasks.front())].task;
}

}  // namespace tilewise::server
