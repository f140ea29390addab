// The files of a checkpoint: found by name in its folder, and remembered with their SHA-256 for the
// provenance.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "checkpoint/json.h"
#include "checkpoint/safetensors.h"
#include "model/model.h"

namespace tilewise::checkpoint {

/// Every file that a model was read from, once, in the order of reading. Not thread-safe.
class SourceFiles {
 public:
  /// `name` is what the provenance shows: the path inside the checkpoint's folder.
  void add(const std::string& path, const std::string& name);
  /// Computed once a file. Errors like MappedFile::open.
  Result<std::string> sha256(const std::string& path);
  Result<std::vector<model::Provenance::Source>> hash_all();

 private:
  std::vector<std::pair<std::string, std::string>> files_;  // path, name
  std::map<std::string, std::string> hashes_;
};

/// A folder and where to record what was read from it. Copyable; `sources` must outlive it.
class Folder {
 public:
  Folder(std::string path, SourceFiles& sources) : path_(std::move(path)), sources_(&sources) {}

  /// not_found or invalid_input unless the path is a folder that can be listed.
  static Status check(const std::string& path);

  bool has(const std::string& name) const;
  std::string path_of(const std::string& name) const;
  const std::string& path() const { return path_; }

  Result<JsonFile> read_json(const std::string& name) const;
  Result<Safetensors> open_tensors(const std::string& name) const;
  Result<std::string> sha256(const std::string& name) const {
    return sources_->sha256(path_of(name));
  }

 private:
  std::string path_;
  SourceFiles* sources_;
};

}  // namespace tilewise::checkpoint
