// The directory that a job writes: what lies in it under which name, and that one job at a time has
// it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/open_regular.h"
#include "base/status.h"
#include "batch/manifest.h"
#include "rows/format.h"

namespace tilewise::batch {

/// "part-00012": the name of a part, to which each of its files adds an extension.
std::string part_name(int64_t index);

/// Where a job that wrote into `directory` has a part's scores.
std::string scores_path(const std::string& directory, int64_t part);

/// Locked for this process as long as it lives, where the file system can lock. Move-only.
class OutputDirectory {
 public:
  /// Makes the directory where there is none, and removes what a killed job has left half-written.
  /// `extension`: of the files of answers, ".jsonl" or ".csv.gz". Errors: io_error; unavailable
  /// while another job writes there.
  static Result<OutputDirectory> open(const std::string& path, std::string extension);

  /// Removes all that jobs write, and nothing else. Errors: io_error.
  Status clear();

  /// Ready for a job: with `overwrite` it is cleared; else it holds a manifest, or nothing but what
  /// a job leaves that did not come so far. Errors: invalid_argument for anything else, io_error.
  Status prepare(bool overwrite);

  /// Errors: io_error where the directory was moved or removed since open(), and so has lost what
  /// this job has written, whatever lies at its path now.
  Status check_in_place() const;

  /// Removes files of parts that are not in the manifest: whoever wrote them did not come to the
  /// end.
  Status remove_unlisted(const Manifest& manifest);

  /// Paths of a part's files.
  std::string answers(int64_t part) const;
  std::string rejections(int64_t part) const;
  std::string scores(int64_t part) const;
  /// Records of the catalogues that were rejected.
  std::string rejected_records() const;
  std::string manifest() const;
  std::string success() const;

  const std::string& path() const { return path_; }

  /// Makes the folder in which a file of a part lies. Errors: io_error.
  static Status create_folder_of(const std::string& file);

 private:
  Status check_empty() const;
  OutputDirectory(std::string path, std::string extension, Descriptor lock)
      : path_(std::move(path)), extension_(std::move(extension)), lock_(std::move(lock)) {}

  std::string path_;
  std::string extension_;
  Descriptor lock_;
};

/// Removes a file, if it is there. Errors: io_error.
Status remove_file(const std::string& path);

}  // namespace tilewise::batch
