#include "batch/catalogs.h"

#include <utility>

#include "batch/memory.h"
#include "batch/output_directory.h"
#include "batch/rejection.h"
#include "batch/sources.h"

namespace tilewise::batch {
namespace {

/// A file of rejections that is there only where there are some.
class RejectionFile {
 public:
  explicit RejectionFile(std::string path) : path_(std::move(path)) {}

  void add(const Status& rejected) {
    if (!status_.ok()) return;
    line_.clear();
    append_rejection({}, "", rejected, line_);
    status_ = write();
  }

  /// The file without its name; null where nothing was rejected. Errors: the first of writing.
  Result<std::unique_ptr<RecordedFile>> finish() {
    TILEWISE_RETURN_IF_ERROR(status_);
    return std::move(file_);
  }

 private:
  Status write() {
    if (!file_) {
      TILEWISE_ASSIGN_OR_RETURN(RecordedFile file, RecordedFile::create(path_));
      file_ = std::make_unique<RecordedFile>(std::move(file));
    }
    return file_->write(line_);
  }

  std::string path_;
  std::unique_ptr<RecordedFile> file_;
  std::string line_;
  Status status_;
};

/// Builds the stores one after the other and adds up what they say.
class Builder {
 public:
  Builder(engine::Engine& engine, const Options& options, const rows::ReadLimits& limits,
          const engine::TaskSet& tasks, RejectionFile& rejections,
          const std::function<void(const Status&)>& on_rejected,
          const std::function<void(const Progress&)>& on_progress)
      : engine_(engine),
        options_(options),
        limits_(limits),
        tasks_(tasks),
        rejections_(rejections),
        on_rejected_(on_rejected),
        on_progress_(on_progress) {}

  Result<RecordStore> build(const std::vector<std::string>& paths, CatalogInfo& info) {
    const CatalogInfo before = info;
    TILEWISE_ASSIGN_OR_RETURN(auto files, list_sources(paths, {}, options_.output_directory));
    TILEWISE_ASSIGN_OR_RETURN(
        RecordStore store,
        RecordStore::build(
            engine_,
            {.files = std::move(files), .tasks = tasks_, .stop = options_.stop, .limits = limits_},
            [&](const Status& rejected) {
              ++info.rejected;
              rejections_.add(rejected);
              on_rejected_(rejected);
            },
            [&](const RecordStore::Progress& now) {
              on_progress_({.seconds = now.seconds,
                            .fraction = now.fraction,
                            .records = before.records + now.records,
                            .rejected_records = before.rejected + now.rejected});
            }));
    info.records += store.records();
    info.files.insert(info.files.end(), store.inputs().begin(), store.inputs().end());
    return store;
  }

 private:
  engine::Engine& engine_;
  const Options& options_;
  const rows::ReadLimits& limits_;
  const engine::TaskSet& tasks_;
  RejectionFile& rejections_;
  const std::function<void(const Status&)>& on_rejected_;
  const std::function<void(const Progress&)>& on_progress_;
};

}  // namespace

Result<bool> Catalogs::are_wanted(const Options& options) {
  const bool both = !options.catalogs.empty();
  const bool left = !options.left_catalogs.empty();
  const bool right = !options.right_catalogs.empty();
  if (left != right || (both && left)) {
    return invalid_argument({.what = "id pairs need one catalogue for both sides, or one a side",
                             .where = "--catalog, --left-catalog, --right-catalog",
                             .expected = "--catalog alone, or the other two together",
                             .remedy = "Name a catalogue on both sides where it serves both"});
  }
  for (const auto* paths : {&options.catalogs, &options.left_catalogs, &options.right_catalogs}) {
    if (paths->empty()) continue;
    TILEWISE_RETURN_IF_ERROR(list_sources(*paths, {}, options.output_directory).status());
  }
  return both || left;
}

Result<Catalogs> Catalogs::build(engine::Engine& engine, const Options& options,
                                 const rows::ReadLimits& limits, const engine::TaskSet& tasks,
                                 const std::string& rejections,
                                 const std::function<void(const Status&)>& on_rejected,
                                 const std::function<void(const Progress&)>& on_progress) {
  Catalogs catalogs;
  RejectionFile file(rejections);
  Builder builder(engine, options, limits, tasks, file, on_rejected, on_progress);
  const auto& left = options.catalogs.empty() ? options.left_catalogs : options.catalogs;
  TILEWISE_ASSIGN_OR_RETURN(catalogs.left_, builder.build(left, catalogs.info_));
  if (options.catalogs.empty()) {
    TILEWISE_ASSIGN_OR_RETURN(catalogs.right_,
                              builder.build(options.right_catalogs, catalogs.info_));
  }
  TILEWISE_ASSIGN_OR_RETURN(catalogs.rejections_, file.finish());
  catalogs.rejections_path_ = rejections;
  return catalogs;
}

Status Catalogs::commit_rejections() {
  return rejections_ ? rejections_->commit().status() : remove_file(rejections_path_);
}

std::string Catalogs::hash() const {
  return right_ ? left_->content_hash() + "+" + right_->content_hash() : left_->content_hash();
}

}  // namespace tilewise::batch
