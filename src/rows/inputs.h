// What the user named -> the files to read, in their order.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "rows/format.h"

namespace tilewise::rows {

struct InputFile {
  std::string path;  ///< "-" is standard input
  Format format = Format::json_lines;
};

/// Each of `names` is
/// - "-": standard input;
/// - a file, whatever its name;
/// - a directory: the files in it and below it whose names have the extension of a format, sorted
///   by path (bytes); names that begin with "." or "_" are passed over, as Spark and Hive do, and
///   so is what a batch job has refused ("rejected" beside a "_manifest.json");
/// - where there is nothing of that name, a glob (* ? [...]), whose matches are taken in sorted
///   order like names.
/// All files have `format`; without it each has that of its extension, JSON lines where it has
/// none. Errors: not_found (no such file, a glob without match), invalid_input (a directory without
/// a file of rows), io_error.
Result<std::vector<InputFile>> list_inputs(const std::vector<std::string>& names,
                                           std::optional<Format> format = std::nullopt);

}  // namespace tilewise::rows
