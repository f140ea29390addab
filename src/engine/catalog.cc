#include "engine/catalog.h"

#include <algorithm>
#include <utility>

namespace tilewise::engine {
namespace {

std::string joined(const std::vector<std::string>& names) {
  constexpr size_t kMost = 20;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMost); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kMost) text += " and " + std::to_string(names.size() - kMost) + " more";
  return text;
}

}  // namespace

// A model's own name goes before NAME.TASK, and that before TASK.
Catalog::Catalog(std::vector<RepositoryEntry> entries) : entries_(std::move(entries)) {
  ByName<std::vector<std::pair<std::string, Target>>> by_task;
  for (const RepositoryEntry& entry : entries_) {
    if (entry.model == nullptr) continue;
    const auto& tasks = entry.model->metadata().tasks;
    Target whole{entry.model, {}, entry.name, entry.version};
    if (tasks.size() == 1) whole.tasks = {0};
    targets_.emplace(entry.name, whole);
    for (size_t t = 0; t < tasks.size(); ++t) {
      Target one = whole;
      one.tasks = {static_cast<int32_t>(t)};
      std::string full = entry.name + "." + tasks[t].task.name;
      by_task[tasks[t].task.name].emplace_back(full, one);
      tasks_.push_back({std::move(full), std::move(one), &tasks[t].task});
    }
  }
  for (const TaskEntry& entry : tasks_) targets_.emplace(entry.name, entry.target);
  for (auto& [task, candidates] : by_task) {
    if (candidates.size() == 1) {
      targets_.emplace(task, candidates.front().second);
    } else {
      for (const auto& [full, target] : candidates) ambiguous_[task].push_back(full);
    }
  }
}

Result<Target> Catalog::find(std::string_view name, std::string_view version) const {
  const auto found = targets_.find(name);
  if (found == targets_.end()) return why_not(name);
  if (!version.empty() && version != found->second.version) {
    return not_found({.what = "this version of the model is not served",
                      .where = std::string(name),
                      .expected = "version " + found->second.version,
                      .found = std::string(version),
                      .remedy = "Leave the version out to get the one that is served"});
  }
  return found->second;
}

Status Catalog::why_not(std::string_view name) const {
  if (const auto several = ambiguous_.find(name); several != ambiguous_.end()) {
    return invalid_argument({.what = "several models have a task of this name",
                             .where = std::string(name),
                             .expected = "one of: " + joined(several->second),
                             .remedy = "Name the model, too"});
  }
  for (const RepositoryEntry& entry : entries_) {
    const bool is_meant =
        name == entry.name || (name.starts_with(entry.name) && name.size() > entry.name.size() &&
                               name[entry.name.size()] == '.');
    if (entry.model != nullptr || !is_meant) continue;
    return unavailable({.what = "the model is not served now",
                        .where = entry.name,
                        .found = entry.reason,
                        .remedy = "Load it, or put a good version into the directory"});
  }
  return not_found({.what = "there is no such model or task",
                    .expected = "one of: " + joined(names()),
                    .found = std::string(name)});
}

std::vector<std::string> Catalog::names() const {
  std::vector<std::string> names;
  names.reserve(targets_.size());
  for (const auto& [name, target] : targets_) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace tilewise::engine
