#include "batch/sources.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace tilewise::batch {
namespace {

namespace fs = std::filesystem;

/// Without links, "." and "..", also where the last parts do not exist.
fs::path resolved(const std::string& path) {
  std::error_code ignored;
  return fs::weakly_canonical(fs::absolute(path, ignored), ignored);
}

/// Not `directory` itself, which may turn out to be a file.
bool lies_below(const fs::path& path, const fs::path& directory) {
  return path != directory &&
         std::mismatch(directory.begin(), directory.end(), path.begin(), path.end()).first ==
             directory.end();
}

}  // namespace

Result<std::vector<rows::InputFile>> list_sources(const std::vector<std::string>& names,
                                                  std::optional<rows::Format> format,
                                                  const std::string& output_directory) {
  TILEWISE_ASSIGN_OR_RETURN(auto files, rows::list_inputs(names, format));
  const fs::path output = resolved(output_directory);
  const auto is_own = [&](const rows::InputFile& file) {
    return file.path != "-" && lies_below(resolved(file.path), output);
  };
  for (const rows::InputFile& file : files) {
    if (std::ranges::find(names, file.path) == names.end() || !is_own(file)) continue;
    return invalid_argument({.what = "an input lies in the directory that the job writes",
                             .where = file.path,
                             .expected = "a file elsewhere",
                             .found = "a file in " + output_directory,
                             .remedy = "Give the job an output directory of its own"});
  }
  std::erase_if(files, is_own);
  return files;
}

Status check_standard_input(const Options& options) {
  std::ptrdiff_t uses = 0;
  for (const auto* names :
       {&options.inputs, &options.catalogs, &options.left_catalogs, &options.right_catalogs}) {
    uses += std::ranges::count(*names, "-");
  }
  if (uses <= 1) return {};
  return invalid_argument({.what = "standard input can be read once",
                           .where = "--input, --catalog, --left-catalog, --right-catalog",
                           .expected = "- at most once",
                           .found = std::to_string(uses) + " times",
                           .remedy = "Put the others into files"});
}

}  // namespace tilewise::batch
