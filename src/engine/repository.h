// Which models are served, under which names: one artifact, or a directory DIR/NAME/VERSION.tw that
// may change while it is served.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/service.h"

namespace tilewise::engine {

/// What a name stands for. "NAME.TASK", and "TASK" where that is unique: one task. "NAME": the
/// model, of which the request names the tasks (`tasks` is empty then, unless the model has only
/// one).
struct Target {
  std::shared_ptr<ServedModel> model;
  TaskSet tasks;
  std::string model_name;  ///< NAME
  std::string version;     ///< "3"
};

/// A model of the repository, for its index.
struct RepositoryEntry {
  std::string name;
  std::string version;
  std::string path;
  bool is_ready = false;
  std::string reason;                  ///< why it is not
  std::shared_ptr<ServedModel> model;  ///< null where it is not ready
};

struct RepositoryOptions {
  /// How often a directory is looked at; 0: only on load() and unload().
  std::chrono::milliseconds poll_interval{1000};
};

/// Lookups take no lock that a load holds. Thread-safe.
class Repository {
 public:
  /// `path`: an artifact (NAME is its file name without ".tw", version "1"), or a directory. Loads
  /// the highest version of each model. Errors: those of Service::load where there is one artifact;
  /// for a directory: not_found or io_error for itself, invalid_input where it holds no model that
  /// can be served. Broken models beside good ones are logged and shown in the index.
  static Result<std::unique_ptr<Repository>> open(Service& service, const std::string& path,
                                                  const RepositoryOptions& options = {});
  ~Repository();

  /// Errors: not_found naming what there is, `unavailable` for a model that was unloaded or broken;
  /// invalid_argument for a task name that several models have. `version`: empty for the served
  /// one.
  Result<Target> find(std::string_view name, std::string_view version = {}) const;

  /// "a,b" or the names of KServe's parameters.tasks, for a Target without tasks.
  static Result<TaskSet> find_tasks(const Target& target, const std::string& names);

  std::vector<RepositoryEntry> index() const;

  /// Loads the highest version that is there, also of a model that was unloaded; if that fails the
  /// old one serves on. Errors: not_found, those of Service::load.
  Status load(const std::string& name);
  Status unload(const std::string& name);

  /// Every name that answers requests, "NAME.TASK" and "TASK" included, sorted.
  std::vector<std::string> names() const;

 private:
  struct State;
  explicit Repository(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::engine
