#include "checkpoint/weight_files.h"

#include <map>
#include <set>

namespace tilewise::checkpoint {
namespace {

constexpr const char* kModel = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

Status bad_index(const Folder& folder, std::string what, const std::string& tensor,
                 std::string found) {
  return invalid_input({std::move(what),
                        folder.path_of(kIndex) + (tensor.empty() ? "" : ": " + tensor), "",
                        std::move(found), "Save or download the checkpoint again"});
}

Status no_weights(const Folder& folder) {
  const char* found =
      folder.has("pytorch_model.bin") || folder.has("pytorch_model.bin.index.json")
          ? "a PyTorch pickle (pytorch_model.bin), which can run code and is not read"
      : folder.has("tf_model.h5") ? "TensorFlow weights (tf_model.h5)"
                                  : "";
  return not_found({"The weights are missing", folder.path(), std::string(kModel) + " or " + kIndex,
                    found,
                    "Save the model with save_pretrained() of a current transformers, which writes "
                    "safetensors"});
}

/// tensor -> shard, as the index says; names of shards are plain file names.
Result<std::map<std::string, std::string>> read_index(const Folder& folder) {
  TILEWISE_ASSIGN_OR_RETURN(const JsonFile index, folder.read_json(kIndex));
  Report report;
  std::map<std::string, std::string> shard_of;
  const auto root = index.object(report, "weights");
  const auto map = root ? root->object("weight_map") : std::nullopt;
  if (map) {
    for (const std::string& tensor : map->keys()) {
      if (auto shard = map->required_string(tensor)) shard_of.emplace(tensor, std::move(*shard));
    }
  }
  if (!report.ok()) return report.first_problem();
  if (shard_of.empty()) return bad_index(folder, "The index lists no tensors", "", "");
  for (const auto& [tensor, shard] : shard_of) {
    if (shard.empty() || shard.find('/') != std::string::npos) {
      return bad_index(folder, "The index names a file outside the folder", tensor, shard);
    }
  }
  return shard_of;
}

}  // namespace

Status WeightFiles::add(const Folder& folder, const std::string& name) {
  TILEWISE_ASSIGN_OR_RETURN(Safetensors tensors, folder.open_tensors(name));
  files_.push_back({name, folder.path_of(name), std::move(tensors)});
  return {};
}

Result<WeightFiles> WeightFiles::open_file(const Folder& folder, const std::string& name) {
  WeightFiles files;
  TILEWISE_RETURN_IF_ERROR(files.add(folder, name));
  return files;
}

Result<WeightFiles> WeightFiles::open_model(const Folder& folder) {
  if (folder.has(kModel)) return open_file(folder, kModel);
  if (folder.has(kIndex)) return open_shards(folder);
  return no_weights(folder);
}

Result<WeightFiles> WeightFiles::open_shards(const Folder& folder) {
  TILEWISE_ASSIGN_OR_RETURN(const auto shard_of, read_index(folder));
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shard_of) shards.insert(shard);
  WeightFiles files;
  for (const std::string& shard : shards) TILEWISE_RETURN_IF_ERROR(files.add(folder, shard));

  for (const File& file : files.files_) {
    for (const TensorEntry& tensor : file.tensors.tensors()) {
      const auto listed = shard_of.find(tensor.name);
      if (listed == shard_of.end() || listed->second != file.name) {
        return bad_index(folder, "A shard holds a tensor that the index does not place there",
                         tensor.name, file.name);
      }
    }
  }
  for (const auto& [tensor, shard] : shard_of) {
    if (!files.find(tensor).entry)
      return bad_index(folder, "A shard lacks a tensor of the index", tensor, shard);
  }
  return files;
}

WeightFiles::Located WeightFiles::find(std::string_view name) const {
  for (const File& file : files_) {
    if (const TensorEntry* entry = file.tensors.find(name)) return {entry, &file.path};
  }
  return {};
}

size_t WeightFiles::count() const {
  size_t count = 0;
  for (const File& file : files_) count += file.tensors.tensors().size();
  return count;
}

std::vector<std::string> WeightFiles::names() const {
  std::vector<std::string> names;
  for (const File& file : files_) {
    for (const TensorEntry& tensor : file.tensors.tensors()) names.push_back(tensor.name);
  }
  return names;
}

std::string WeightFiles::summary() const {
  std::set<std::string> types;
  for (const File& file : files_) {
    for (const TensorEntry& tensor : file.tensors.tensors()) types.insert(tensor.dtype);
  }
  std::string text = files_.front().name;
  if (files_.size() > 1) text += " to " + files_.back().name;
  text += ", " + std::to_string(count()) + " tensors (";
  for (const std::string& type : types)
    text.append(type == *types.begin() ? "" : ", ").append(type);
  return text + ")";
}

}  // namespace tilewise::checkpoint
