// Where a verb's data go: standard output, or a file that appears whole.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/output_file.h"
#include "base/status.h"
#include "cli/session.h"
#include "rows/compressor.h"

namespace tilewise::cli {

/// Not thread-safe.
class DataOutput {
 public:
  /// `path` "": standard output. A name that ends with .gz or .zst makes a compressed file.
  static Result<DataOutput> open(Session& session, const std::string& path);

  Status write(std::string_view text);

  /// Without it no file appears.
  Status finish();

 private:
  explicit DataOutput(Session& session) : session_(&session) {}

  Session* session_;
  std::optional<OutputFile> file_;
  std::optional<rows::Compressor> compressor_;
  std::string compressed_;
};

/// Writes `text` to a file, or to standard output where `path` is "-".
Status write_report(Session& session, const std::string& path, std::string_view text);

}  // namespace tilewise::cli
