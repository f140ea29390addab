#include "engine/repository.h"

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "base/log.h"
#include "engine/catalog.h"
#include "engine/model_files.h"

namespace tilewise::engine {
namespace {

/// A file that could not be served, and why.
struct Broken {
  ModelFile file;
  Status status;
};

/// A model by its name.
struct Slot {
  std::shared_ptr<ServedModel> model;  // null: none is served
  std::optional<ModelFile> served;
  std::vector<Broken> broken;
  bool is_unloaded = false;  // by name
};

const Broken* find_broken(const Slot& slot, const ModelFile& file) {
  const auto found = std::find_if(slot.broken.begin(), slot.broken.end(),
                                  [&](const Broken& broken) { return broken.file == file; });
  return found == slot.broken.end() ? nullptr : &*found;
}

std::string reason_of(const Slot& slot) {
  if (slot.is_unloaded) return "unloaded";
  return slot.broken.empty() ? "" : slot.broken.front().status.message();
}

}  // namespace

struct Repository::State {
  State(Service& its_service, std::string its_path, RepositoryOptions its_options)
      : service(its_service), path(std::move(its_path)), options(std::move(its_options)) {}

  Service& service;
  const std::string path;
  const RepositoryOptions options;

  std::mutex change_mutex;  // held while models are opened; no lookup takes it
  std::map<std::string, Slot> slots;
  ModelFiles last_look;
  std::string last_complaint;
  std::vector<std::shared_ptr<ServedModel>> retired;
  bool is_directory = true;
  bool is_open = false;

  mutable std::mutex catalog_mutex;  // held to copy a pointer
  std::shared_ptr<const Catalog> catalog =
      std::make_shared<Catalog>(std::vector<RepositoryEntry>());

  std::thread poller;
  std::mutex poll_mutex;
  std::condition_variable poll_changed;
  bool is_closing = false;

  std::shared_ptr<const Catalog> current() const {
    const std::lock_guard lock(catalog_mutex);
    return catalog;
  }

  // With change_mutex held.
  void look(bool may_be_new);
  void choose(const std::string& name, Slot& slot, const std::vector<ModelFile>& files,
              const std::vector<ModelFile>* looked_before);
  Status try_file(const std::string& name, Slot& slot, const ModelFile& file);
  void retire(Slot& slot);
  void publish();

  void poll();
};

// ---------------------------------------------------------------------------------------------------------------------
// Changes

/// Opens the file and serves it in the place of what the slot has.
Status Repository::State::try_file(const std::string& name, Slot& slot, const ModelFile& file) {
  auto model = service.load(file.path);
  std::erase_if(slot.broken, [&](const Broken& broken) { return broken.file.path == file.path; });
  if (model.ok()) {
    retire(slot);
    slot.model = *std::move(model);
    slot.served = file;
    publish();
    if (is_open) {
      log_info("model " + name + ": version " + std::to_string(file.version) + " is served now");
    }
  } else {
    slot.broken.push_back({file, model.status()});
    std::sort(slot.broken.begin(), slot.broken.end(),
              [](const Broken& a, const Broken& b) { return a.file.version > b.file.version; });
    // Where there is nothing else to serve, open() fails with it.
    if (is_open || is_directory) {
      log_warn("model " + name + ": version " + std::to_string(file.version) +
               " is not served: " + model.status().message());
    }
  }
  if (is_open && options.on_swap) options.on_swap(name, model.ok());
  return model.status();
}

/// Serves the highest version that can be.
void Repository::State::choose(const std::string& name, Slot& slot,
                               const std::vector<ModelFile>& files,
                               const std::vector<ModelFile>* looked_before) {
  std::erase_if(slot.broken, [&](const Broken& broken) {
    return std::find(files.begin(), files.end(), broken.file) == files.end();
  });
  for (const ModelFile& file : files) {
    if (slot.served == file) return;
    // What was served before a broken version came serves on, even if its own file is gone.
    const bool is_older = slot.served && file.version < slot.served->version;
    if (is_older && !slot.broken.empty()) return;
    if (find_broken(slot, file) != nullptr) continue;
    // It may still be being written; it has its turn at the next look.
    if (looked_before != nullptr &&
        std::find(looked_before->begin(), looked_before->end(), file) == looked_before->end()) {
      return;
    }
    if (try_file(name, slot, file).ok()) return;
  }
}

void Repository::State::look(bool may_be_new) {
  auto files = list_model_files(path);
  const std::string complaint = files.ok() ? "" : files.status().message();
  if (complaint != last_complaint && !complaint.empty()) {
    log_warn(complaint + " The models serve on as they are.");
  }
  last_complaint = complaint;
  if (!files.ok()) return;

  for (auto named = slots.begin(); named != slots.end();) {
    if (files->contains(named->first)) {
      ++named;
      continue;
    }
    log_info("model " + named->first + ": its files are gone, it is served no longer");
    retire(named->second);
    named = slots.erase(named);
  }
  const std::vector<ModelFile> none;
  for (const auto& [name, of_model] : *files) {
    Slot& slot = slots[name];
    if (slot.is_unloaded) continue;
    const auto before = last_look.find(name);
    choose(name, slot, of_model,
           may_be_new                  ? nullptr
           : before == last_look.end() ? &none
                                       : &before->second);
  }
  last_look = *std::move(files);
  publish();
}

/// Gives the model up here once nobody uses it any more, so that no request pays for it.
void Repository::State::retire(Slot& slot) {
  if (slot.model != nullptr) retired.push_back(std::move(slot.model));
  slot.model = nullptr;
  slot.served.reset();
}

void Repository::State::publish() {
  std::vector<RepositoryEntry> entries;
  for (const auto& [name, slot] : slots) {
    RepositoryEntry entry;
    entry.name = name;
    entry.is_ready = slot.model != nullptr;
    entry.reason = reason_of(slot);
    entry.model = slot.model;
    if (slot.served) {
      entry.version = std::to_string(slot.served->version);
      entry.path = slot.served->path;
    } else if (!slot.broken.empty()) {
      entry.version = std::to_string(slot.broken.front().file.version);
      entry.path = slot.broken.front().file.path;
    }
    entries.push_back(std::move(entry));
  }
  auto next = std::make_shared<const Catalog>(std::move(entries));
  {
    const std::lock_guard lock(catalog_mutex);
    catalog.swap(next);
  }
  next.reset();
  std::erase_if(retired, [](const auto& model) { return model.use_count() == 1; });
}

void Repository::State::poll() {
  std::unique_lock lock(poll_mutex);
  while (!poll_changed.wait_for(lock, options.poll_interval, [&] { return is_closing; })) {
    lock.unlock();
    {
      const std::lock_guard change(change_mutex);
      look(false);
    }
    lock.lock();
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// The interface

Repository::Repository(std::unique_ptr<State> state) : state_(std::move(state)) {}

Repository::~Repository() {
  if (!state_->poller.joinable()) return;
  {
    const std::lock_guard lock(state_->poll_mutex);
    state_->is_closing = true;
  }
  state_->poll_changed.notify_all();
  state_->poller.join();
}

Result<std::unique_ptr<Repository>> Repository::open(Service& service, const std::string& path,
                                                     const RepositoryOptions& options) {
  TILEWISE_RETURN_IF_ERROR(list_model_files(path).status());
  auto state = std::make_unique<State>(service, path, options);
  std::error_code ignored;
  state->is_directory = std::filesystem::is_directory(path, ignored);
  state->look(true);
  const auto& entries = state->current()->entries();
  const bool is_useless = std::none_of(entries.begin(), entries.end(),
                                       [](const auto& entry) { return entry.is_ready; });
  if (is_useless && !state->is_directory && !state->slots.empty()) {
    return state->slots.begin()->second.broken.front().status;
  }
  if (is_useless) {
    return invalid_input({.what = "there is no model that can be served",
                          .where = path,
                          .expected = "an artifact (*.tw), or artifacts NAME/VERSION.tw",
                          .found = entries.empty() ? std::string("none") : entries.front().reason,
                          .remedy = "Compile one into it: tilewise compile ... -o NAME/1.tw"});
  }
  state->is_open = true;
  State* const shared = state.get();
  std::unique_ptr<Repository> repository(new Repository(std::move(state)));
  if (options.poll_interval.count() > 0) {
    try {
      shared->poller = std::thread([shared] { shared->poll(); });
    } catch (const std::system_error& error) {
      return unavailable_machine({.what = "cannot start the thread that looks for new models",
                                  .found = error.what(),
                                  .remedy = "Raise the limit of threads"});
    }
  }
  return repository;
}

Result<Target> Repository::find(std::string_view name, std::string_view version) const {
  return state_->current()->find(name, version);
}

Result<TaskSet> Repository::find_tasks(const Target& target, const std::string& names) {
  return target.model->loaded().find_tasks(names);
}

std::vector<RepositoryEntry> Repository::index() const { return state_->current()->entries(); }

std::shared_ptr<const std::vector<TaskEntry>> Repository::tasks() const {
  auto catalog = state_->current();
  const auto* tasks = &catalog->tasks();
  return {std::move(catalog), tasks};
}

std::vector<std::string> Repository::names() const { return state_->current()->names(); }

void Repository::look() {
  const std::lock_guard lock(state_->change_mutex);
  state_->look(false);
}

Status Repository::load(const std::string& name) {
  const std::lock_guard lock(state_->change_mutex);
  TILEWISE_ASSIGN_OR_RETURN(const ModelFiles files, list_model_files(state_->path));
  const auto found = files.find(name);
  if (found == files.end()) {
    return not_found({.what = "the repository has no such model",
                      .where = state_->path,
                      .expected = name + "/VERSION.tw"});
  }
  Slot& slot = state_->slots[name];
  slot.is_unloaded = false;
  const ModelFile& file = found->second.front();
  const Status status = slot.served == file ? Status() : state_->try_file(name, slot, file);
  state_->publish();
  return status;
}

Status Repository::unload(const std::string& name) {
  const std::lock_guard lock(state_->change_mutex);
  const auto found = state_->slots.find(name);
  if (found == state_->slots.end()) {
    return not_found(
        {.what = "the repository has no such model", .where = state_->path, .found = name});
  }
  found->second.is_unloaded = true;
  state_->retire(found->second);
  state_->publish();
  return {};
}

}  // namespace tilewise::engine
