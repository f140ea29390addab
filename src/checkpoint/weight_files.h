// The tensors of a checkpoint by name, whether they lie in one safetensors file or in several with
// an index.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "checkpoint/folder.h"
#include "checkpoint/safetensors.h"

namespace tilewise::checkpoint {

/// Immutable and thread-safe; entries are valid as long as the object.
class WeightFiles {
 public:
  /// One file of that name. Errors like Safetensors::open.
  static Result<WeightFiles> open_file(const Folder& folder, const std::string& name);
  /// model.safetensors, or the shards that model.safetensors.index.json lists. Errors also:
  /// not_found (neither, with what to do about a PyTorch pickle), invalid_input (an index that does
  /// not fit its shards).
  static Result<WeightFiles> open_model(const Folder& folder);

  struct Located {
    const TensorEntry* entry = nullptr;
    const std::string* file = nullptr;  ///< path, for messages
  };
  /// entry is nullptr when there is none of that name.
  Located find(std::string_view name) const;

  size_t count() const;
  std::vector<std::string> names() const;
  /// "model.safetensors, 104 tensors (F32, I64)".
  std::string summary() const;
  /// The path of the first file, for messages.
  const std::string& path() const { return files_.front().path; }
  size_t files() const { return files_.size(); }

 private:
  struct File {
    std::string name;
    std::string path;
    Safetensors tensors;
  };
  static Result<WeightFiles> open_shards(const Folder& folder);
  Status add(const Folder& folder, const std::string& name);

  std::vector<File> files_;  // never empty
};

}  // namespace tilewise::checkpoint
