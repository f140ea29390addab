// The artifacts that lie in a repository's directory.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace tilewise::engine {

/// What tells a file from the one that lay in its place before, or from itself with other contents.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t size = 0;
  int64_t modified_ns = 0;
  bool operator==(const FileIdentity&) const = default;
};

struct ModelFile {
  int64_t version = 0;
  std::string path;
  FileIdentity identity;
  bool operator==(const ModelFile&) const = default;
};

/// Name of a model -> its files, the highest version first; at least one each.
using ModelFiles = std::map<std::string, std::vector<ModelFile>>;

/// DIR/NAME/VERSION.tw, or for an artifact one model of version 1 that has its file's name.
/// Whatever else lies there is passed over. Errors: not_found, io_error.
Result<ModelFiles> list_model_files(const std::string& path);

}  // namespace tilewise::engine
