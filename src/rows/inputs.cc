#include "rows/inputs.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include <glob.h>
#include <sys/stat.h>

namespace tilewise::rows {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtensions =
    "*.jsonl, *.ndjson, *.json, *.csv, *.tsv, also with .gz or .zst";

bool is_glob(const std::string& name) { return name.find_first_of("*?[") != name.npos; }

/// What frameworks put beside their data (_SUCCESS, .part-0.crc) is no input, nor what a batch job
/// has refused.
bool is_passed_over(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name.starts_with('.') || name.starts_with('_')) return true;
  std::error_code ignored;
  return name == "rejected" && fs::exists(path.parent_path() / "_manifest.json", ignored);
}

Status cannot_list(const std::string& path, const std::string& found) {
  return io_error({.what = "cannot read the directory", .where = path, .found = found});
}

/// Paths of the files of rows under `directory`, sorted.
Result<std::vector<std::string>> list_directory(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> paths;
  // A folder that is a link is one like any other; where links go round, the system says so.
  fs::recursive_directory_iterator entry(directory, fs::directory_options::follow_directory_symlink,
                                         error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (is_passed_over(entry->path())) {
      entry.disable_recursion_pending();
      continue;
    }
    const bool is_directory = entry->is_directory(error);
    if (error) break;
    if (!is_directory && format_of_file(entry->path().string()))
      paths.push_back(entry->path().string());
  }
  if (error) return cannot_list(directory, error.message());
  if (paths.empty()) {
    return invalid_input({.what = "the directory holds no file of rows",
                          .where = directory,
                          .expected = std::string(kExtensions),
                          .remedy = "Name the files, or a pattern such as '" + directory + "/*'"});
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// The names that match; empty where none does.
Result<std::vector<std::string>> expand_glob(const std::string& pattern) {
  glob_t matches{};
  const int error = ::glob(pattern.c_str(), GLOB_ERR | GLOB_NOSORT, nullptr, &matches);
  std::vector<std::string> names;
  if (error == 0) names.assign(matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
  globfree(&matches);
  if (error != 0 && error != GLOB_NOMATCH) {
    return cannot_list(
        pattern, error == GLOB_NOSPACE ? "not enough memory" : "no permission, or a read error");
  }
  std::sort(names.begin(), names.end());
  return names;
}

class InputList {
 public:
  explicit InputList(std::optional<Format> format) : format_(format) {}

  Status add(const std::string& name) {
    struct stat info{};
    if (name == "-") {
      add_file(name);
      return {};
    }
    if (stat(name.c_str(), &info) == 0) return add_existing(name, S_ISDIR(info.st_mode));
    Problem problem{.what = "cannot open the input", .where = name, .found = errno_text(errno)};
    if (errno != ENOENT && errno != ENOTDIR) return io_error(std::move(problem));
    if (!is_glob(name)) return not_found(std::move(problem));
    return add_matches(name);
  }

  std::vector<InputFile> files;

 private:
  void add_file(const std::string& path) {
    const Format by_name = format_of_file(path).value_or(Format::json_lines);
    files.push_back({path, format_.value_or(by_name)});
  }

  Status add_existing(const std::string& name, bool is_directory) {
    if (!is_directory) {
      add_file(name);
      return {};
    }
    TILEWISE_ASSIGN_OR_RETURN(const std::vector<std::string> paths, list_directory(name));
    for (const std::string& path : paths) add_file(path);
    return {};
  }

  Status add_matches(const std::string& pattern) {
    TILEWISE_ASSIGN_OR_RETURN(std::vector<std::string> names, expand_glob(pattern));
    if (!is_passed_over(pattern)) std::erase_if(names, is_passed_over);  // unless it asks for them
    if (names.empty()) return not_found({.what = "no file matches the pattern", .where = pattern});
    for (const std::string& name : names) {
      std::error_code error;
      TILEWISE_RETURN_IF_ERROR(add_existing(name, fs::is_directory(name, error)));
    }
    return {};
  }

  std::optional<Format> format_;
};

}  // namespace

Result<std::vector<InputFile>> list_inputs(const std::vector<std::string>& names,
                                           std::optional<Format> format) {
  InputList list(format);
  for (const std::string& name : names) TILEWISE_RETURN_IF_ERROR(list.add(name));
  return std::move(list.files);
}

}  // namespace tilewise::rows
