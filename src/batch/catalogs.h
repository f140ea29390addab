// The catalogues of a job of id pairs.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "batch/job.h"
#include "batch/manifest.h"
#include "batch/part_writer.h"
#include "batch/question.h"
#include "batch/record_store.h"

namespace tilewise::batch {

/// One for both sides, or one a side.
class Catalogs {
 public:
  /// Whether the options name any. Errors: invalid_argument where they name both kinds, or one side
  /// alone; those of list_sources.
  static Result<bool> are_wanted(const Options& options);

  /// Reads and tokenizes them. Records that are rejected are reported and stand, as rows do, in the
  /// file `rejections`: see commit_rejections(). Errors: those of RecordStore::build and of
  /// writing.
  static Result<Catalogs> build(engine::Engine& engine, const Options& options,
                                const rows::ReadLimits& limits, const engine::TaskSet& tasks,
                                const std::string& rejections,
                                const std::function<void(const Status&)>& on_rejected,
                                const std::function<void(const Progress&)>& on_progress);

  /// Gives the file of rejected records its name, or removes an earlier one where none were: once
  /// it is known that the directory belongs to this job. Once. Errors: those of writing.
  Status commit_rejections();

  const RecordStore& left() const { return *left_; }
  const RecordStore& right() const { return right_ ? *right_ : *left_; }
  /// For the manifest.
  const CatalogInfo& info() const { return info_; }
  /// Of all that they hold.
  std::string hash() const;

 private:
  Catalogs() = default;

  std::optional<RecordStore> left_;
  std::optional<RecordStore> right_;
  CatalogInfo info_;
  std::unique_ptr<RecordedFile> rejections_;
  std::string rejections_path_;
};

}  // namespace tilewise::batch
