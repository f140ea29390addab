#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "artifact/metadata.h"
#include "base/mapped_file.h"
#include "base/sha256.h"
#include "compile/compile.h"
#include "compile/verify.h"
#include "text/tokenizer.h"

namespace tilewise::compile {
namespace {

namespace fs = std::filesystem;

/// The files that text::read_tokenizer reads, by what lies in the folder; empty: none.
std::vector<std::string> tokenizer_files(const std::string& folder) {
  const auto exists = [&](const char* name) {
    std::error_code error;
    return fs::exists(fs::path(folder) / name, error);
  };
  std::vector<std::string> files;
  if (exists("tokenizer.json")) {
    files = {"tokenizer.json"};
  } else if (exists("vocab.txt")) {
    files = {"vocab.txt"};
  } else if (exists("vocab.json")) {
    files = {"vocab.json", "merges.txt"};
  }
  if (!files.empty() && exists("tokenizer_config.json"))
    files.emplace_back("tokenizer_config.json");
  return files;
}

/// A multi-task folder may carry its own tokenizer; else it lies beside the backbone's weights.
std::string tokenizer_folder(const checkpoint::Source& source) {
  const bool is_beside_backbone =
      !source.backbone.empty() && tokenizer_files(source.folder).empty();
  return is_beside_backbone ? source.backbone : source.folder;
}

Status record_tokenizer(const std::string& folder, model::Provenance& provenance) {
  for (const std::string& name : tokenizer_files(folder)) {
    TILEWISE_ASSIGN_OR_RETURN(const MappedFile file,
                              MappedFile::open((fs::path(folder) / name).string()));
    provenance.sources.push_back({.file = name, .sha256 = sha256_hex(file.bytes())});
  }
  return {};
}

/// The special tokens of a pair, of which some tokenizers have more than others, must leave room
/// for its texts.
Status check_room(const model::Model& model) {
  const int32_t least = 2 + model.tokenizer.pair_separators + 1;
  for (const model::TaskWithHead& entry : model.tasks) {
    const model::Task& task = entry.task;
    if (task.input != model::InputKind::pair || task.max_tokens >= least) continue;
    return invalid_input({.what = "A pair's special tokens leave no room for its texts",
                          .where = "max_tokens of task " + task.name,
                          .expected = "at least " + std::to_string(least),
                          .found = std::to_string(task.max_tokens),
                          .remedy = "raise max_tokens in tasks.json"});
  }
  return {};
}

}  // namespace

Result<model::Model> load_model(const checkpoint::Source& source) {
  TILEWISE_ASSIGN_OR_RETURN(model::Model model, checkpoint::load(source));
  const std::string folder = tokenizer_folder(source);
  TILEWISE_ASSIGN_OR_RETURN(model.tokenizer, text::read_tokenizer(folder));
  TILEWISE_RETURN_IF_ERROR(check_tokenizer(model.tokenizer, model.spec.vocab_size));
  TILEWISE_RETURN_IF_ERROR(check_room(model));
  TILEWISE_RETURN_IF_ERROR(record_tokenizer(folder, model.provenance));
  return model;
}

}  // namespace tilewise::compile
