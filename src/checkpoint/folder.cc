#include "checkpoint/folder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/mapped_file.h"
#include "base/sha256.h"

namespace tilewise::checkpoint {
namespace fs = std::filesystem;

void SourceFiles::add(const std::string& path, const std::string& name) {
  const bool known = std::any_of(files_.begin(), files_.end(),
                                 [&](const auto& file) { return file.first == path; });
  if (!known) files_.emplace_back(path, name);
}

Result<std::string> SourceFiles::sha256(const std::string& path) {
  if (const auto known = hashes_.find(path); known != hashes_.end()) return known->second;
  TILEWISE_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  return hashes_[path] = sha256_hex(file.bytes());
}

Result<std::vector<model::Provenance::Source>> SourceFiles::hash_all() {
  std::vector<model::Provenance::Source> sources;
  for (const auto& [path, name] : files_) {
    TILEWISE_ASSIGN_OR_RETURN(std::string hash, sha256(path));
    sources.push_back({name, std::move(hash)});
  }
  return sources;
}

Status Folder::check(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    return not_found({"There is no such folder", path, "the folder of a checkpoint", "", ""});
  }
  if (!error && !fs::is_directory(status)) {
    return invalid_input(
        {"This is not a folder", path, "the folder of a checkpoint", "a file", ""});
  }
  if (!error) fs::directory_iterator(path, error);
  if (error) return io_error({"A folder cannot be read", path, "", error.message(), ""});
  return {};
}

bool Folder::has(const std::string& name) const {
  std::error_code ignored;
  return fs::exists(path_of(name), ignored);
}

std::string Folder::path_of(const std::string& name) const {
  return (fs::path(path_) / name).string();
}

Result<JsonFile> Folder::read_json(const std::string& name) const {
  sources_->add(path_of(name), name);
  return JsonFile::read(path_of(name), path_of(name));
}

Result<Safetensors> Folder::open_tensors(const std::string& name) const {
  sources_->add(path_of(name), name);
  return Safetensors::open(path_of(name), path_of(name));
}

}  // namespace tilewise::checkpoint
