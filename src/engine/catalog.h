// What every name of a repository stands for, at one moment.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "engine/repository.h"

namespace tilewise::engine {

/// Immutable and thread-safe: a change makes a new one.
class Catalog {
 public:
  explicit Catalog(std::vector<RepositoryEntry> entries);

  /// As Repository::find.
  Result<Target> find(std::string_view name, std::string_view version) const;

  const std::vector<RepositoryEntry>& entries() const { return entries_; }
  const std::vector<TaskEntry>& tasks() const { return tasks_; }
  std::vector<std::string> names() const;

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  template <class Value>
  using ByName = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;

  Status why_not(std::string_view name) const;

  std::vector<RepositoryEntry> entries_;
  std::vector<TaskEntry> tasks_;
  ByName<Target> targets_;
  ByName<std::vector<std::string>> ambiguous_;  // task -> the names that are not
};

}  // namespace tilewise::engine
