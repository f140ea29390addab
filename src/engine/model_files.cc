#include "engine/model_files.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

#include <sys/stat.h>

namespace tilewise::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".tw";

/// nullopt for what is no regular file, or has gone meanwhile.
std::optional<FileIdentity> identify(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return FileIdentity{
      .device = status.st_dev,
      .inode = status.st_ino,
      .size = status.st_size,
      .modified_ns = int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

/// "12.tw" -> 12. Not "012.tw": two files would be one version.
std::optional<int64_t> version_of(std::string_view file) {
  if (!file.ends_with(kExtension)) return std::nullopt;
  file.remove_suffix(kExtension.size());
  int64_t version = 0;
  const auto [end, error] = std::from_chars(file.data(), file.data() + file.size(), version);
  if (error != std::errc() || end != file.data() + file.size() || version < 0) return std::nullopt;
  if (std::to_string(version) != file) return std::nullopt;
  return version;
}

std::vector<ModelFile> files_of_model(const fs::path& folder) {
  std::vector<ModelFile> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const auto version = version_of(entry->path().filename().string());
    if (!version) continue;
    std::string path = entry->path().string();
    if (const auto identity = identify(path)) files.push_back({*version, path, *identity});
  }
  std::sort(files.begin(), files.end(),
            [](const ModelFile& a, const ModelFile& b) { return a.version > b.version; });
  return files;
}

Status cannot_read(const std::string& path, const std::error_code& error) {
  Problem problem = {.what = "cannot read the models",
                     .where = path,
                     .expected = "an artifact (*.tw) or a directory NAME/VERSION.tw",
                     .found = error.message(),
                     .remedy = "Check the path and its permissions"};
  return error == std::errc::no_such_file_or_directory ? not_found(std::move(problem))
                                                       : io_error(std::move(problem));
}

}  // namespace

Result<ModelFiles> list_model_files(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (error) return cannot_read(path, error);
  ModelFiles models;
  if (!fs::is_directory(status)) {
    const auto identity = identify(path);
    if (!identity) return cannot_read(path, std::make_error_code(std::errc::invalid_argument));
    std::string name = fs::path(path).filename().string();
    if (name.ends_with(kExtension)) name.resize(name.size() - kExtension.size());
    models[name] = {{1, path, *identity}};
    return models;
  }
  fs::directory_iterator entry(path, error);
  for (const fs::directory_iterator end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (name.starts_with('.') || !fs::is_directory(entry->path(), ignored)) continue;
    auto files = files_of_model(entry->path());
    if (!files.empty()) models[name] = std::move(files);
  }
  if (error) return cannot_read(path, error);
  return models;
}

}  // namespace tilewise::engine
