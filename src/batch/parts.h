// The output of a job: a directory of parts, each of which appears when it is whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/output_file.h"
#include "base/status.h"

namespace tilewise::batch {

/// Makes `directory` ready for a new job: it exists afterwards and holds no parts. Errors:
/// invalid_argument when it is not empty and `overwrite` is false (with it, only parts are
/// removed), io_error.
Status prepare_directory(const std::string& directory, bool overwrite);

/// "part-00012.jsonl"
std::string part_name(int64_t index);

/// Not thread-safe.
class PartWriter {
 public:
  /// A part holds the answers of `rows_per_part` input rows.
  PartWriter(std::string directory, int64_t rows_per_part)
      : directory_(std::move(directory)), rows_per_part_(rows_per_part) {}

  /// The answers of `rows` input rows; they all belong to one part. A part that is full is
  /// committed.
  Status append(std::string_view lines, int64_t rows);

  /// Commits the last part, if one is open.
  Status finish();

  int64_t parts() const { return parts_; }

 private:
  std::string directory_;
  int64_t rows_per_part_;
  int64_t parts_ = 0;  // whole ones
  int64_t rows_ = 0;   // in the open part
  std::optional<OutputFile> file_;
};

}  // namespace tilewise::batch
