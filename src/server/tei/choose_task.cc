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

/// The tasks of one model.
void add_tasks(const engine::RepositoryEntry& entry, std::vector<engine::Target>& targets) {
  if (!entry.is_ready || !entry.model) return;
  const auto count = static_cast<int32_t>(entry.model->metadata().tasks.size());
  for (int32_t task = 0; task < count; ++task) {
    targets.push_back({entry.model, {task}, entry.name, entry.version});
  }
}

Result<engine::Target> choose_of(std::vector<engine::Target> targets, const Wanted& wanted) {
  std::vector<Candidate> candidates;
  candidates.reserve(targets.size());
  for (const engine::Target& target : targets) {
    candidates.push_back({name_of(target), &task_of(target)});
  }
  TILEWISE_ASSIGN_OR_RETURN(const size_t chosen, choose_only(candidates, wanted));
  return std::move(targets[chosen]);
}

std::vector<engine::Target> tasks_of(const engine::Target& model) {
  std::vector<engine::Target> targets;
  add_tasks({.name = model.model_name,
             .version = model.version,
             .path = {},
             .is_ready = true,
             .reason = {},
             .model = model.model},
            targets);
  return targets;
}

Status cannot_answer(std::string_view name, const model::Task& task, const Wanted& wanted) {
  return unsupported({.what = "The task cannot answer this",
                      .where = "task " + std::string(name),
                      .expected = describe(wanted),
                      .found = model::name_of(task.kind),
                      .remedy = {}});
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

Result<size_t> choose_only(std::span<const Candidate> candidates, const Wanted& wanted) {
  std::vector<size_t> fitting, classifiers;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!wanted.suits(*candidates[i].task)) continue;
    fitting.push_back(i);
    if (candidates[i].task->kind != model::TaskKind::regression) classifiers.push_back(i);
  }
  if (wanted.purpose == Purpose::predict && !classifiers.empty()) fitting = classifiers;
  if (fitting.size() == 1) return fitting.front();

  constexpr size_t kShown = 20;
  std::string names;
  auto add_name = [&, count = size_t{0}](const Candidate& candidate) mutable {
    if (++count > kShown + 1) return;
    if (!names.empty()) names += ", ";
    names += count > kShown ? std::string("...") : candidate.name;
  };
  if (fitting.empty()) {
    for (const Candidate& candidate : candidates) add_name(candidate);
    return invalid_argument({.what = "No task that is served can answer this",
                             .where = {},
                             .expected = describe(wanted),
                             .found = names.empty() ? "no tasks" : names,
                             .remedy = {}});
  }
  for (const size_t i : fitting) add_name(candidates[i]);
  return invalid_argument({.what = "Several tasks can answer this, and the request names none",
                           .where = "task",
                           .expected = "one of " + names,
                           .found = "nothing",
                           .remedy = "Name it: \"task\" in the body, ?task=, or --default-task"});
}

Result<engine::Target> choose_task(const engine::Repository& repository, std::string_view asked,
                                   std::string_view default_task, const Wanted& wanted) {
  if (!asked.empty()) {
    TILEWISE_ASSIGN_OR_RETURN(engine::Target target, repository.find(asked));
    if (target.tasks.size() != 1) return choose_of(tasks_of(target), wanted);
    if (!wanted.takes(task_of(target))) return cannot_answer(asked, task_of(target), wanted);
    return target;
  }
  if (!default_task.empty()) {
    TILEWISE_ASSIGN_OR_RETURN(engine::Target target, repository.find(default_task));
    if (target.tasks.size() != 1) return choose_of(tasks_of(target), wanted);
    if (wanted.suits(task_of(target))) return target;
  }
  return choose_of(served_tasks(repository), wanted);
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
                               .found = std::string(name),
                               .remedy = {}});
    }
    if (!names.empty()) names += ',';
    names += task_of(target).name;
    if (!all) all = std::move(target);
  }
  if (!all) {
    return invalid_argument(
        {.what = "No task is named", .where = "task", .expected = {}, .found = {}, .remedy = {}});
  }
  TILEWISE_ASSIGN_OR_RETURN(all->tasks, all->model->loaded().find_tasks(names));
  return std::move(*all);
}

std::string name_of(const engine::Target& target) {
  return target.model_name + "." + task_of(target).name;
}

std::vector<engine::Target> served_tasks(const engine::Repository& repository) {
  std::vector<engine::Target> targets;
  for (const engine::RepositoryEntry& entry : repository.index()) add_tasks(entry, targets);
  return targets;
}

const model::Task& task_of(const engine::Target& target) {
  return target.model->metadata().tasks[static_cast<size_t>(target.tasks.front())].task;
}

}  // namespace tilewise::server
