// Which models are served, under which names: one artifact, or a directory DIR/NAME/VERSION.tw that
// may change while it is served.
//
// - VERSION is a whole number without leading zeros; the highest that can be served is. Names that
//   begin with a dot are passed over.
// - The directory is looked at now and then. A new version, or another file in the place of the one
//   that is served, is opened, compared with its checksums, warmed and swapped in once it has not
//   changed between two looks. Requests that run keep the model that they began with.
// - A file that cannot be served is logged once and shown in the index; what was served serves on,
//   and the file is tried again when it changes. A rolled back version (its file removed) gives way
//   to the highest that is left.
// - A model whose last file is gone is unloaded. If the directory itself cannot be read, all stays
//   as it is. A model that was unloaded by name stays so until it is loaded by name.
//
// An artifact is mapped: put new files in place by renaming them, as `tilewise compile` does, and
// never write into one that is served.
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

/// A task that answers requests.
struct TaskEntry {
  std::string name;  ///< "NAME.TASK"
  Target target;     ///< of this one task
  const model::Task* task = nullptr;
};

struct RepositoryOptions {
  /// How often a directory is looked at; 0: only on load() and unload().
  std::chrono::milliseconds poll_interval{1000};
  /// Told of each load after open(), by name or by the poll, and whether the model is served now.
  /// Called on the thread that loads.
  std::function<void(std::string_view model, bool ok)> on_swap = {};
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

  /// Every task that answers requests, as they were at one moment, in the order of the index.
  /// Copies a pointer.
  std::shared_ptr<const std::vector<TaskEntry>> tasks() const;

  /// Loads the highest version that is there, also of a model that was unloaded; if that fails the
  /// old one serves on. Does nothing where that file is served already. Errors: not_found, those of
  /// Service::load.
  Status load(const std::string& name);
  /// Errors: not_found.
  Status unload(const std::string& name);

  /// Looks at the directory at once, as the poll does.
  void look();

  /// Every name that answers requests, "NAME.TASK" and "TASK" included, sorted.
  std::vector<std::string> names() const;

 private:
  struct State;
  explicit Repository(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::engine
