// A Hugging Face folder, or a multi-task folder on a backbone, into a Model. Only files are read
// here; nothing is merged, scaled or cast (that is compile/).
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "model/model.h"

namespace tilewise::checkpoint {

struct Source {
  std::string folder;    ///< the checkpoint, or the folder with tasks.json
  std::string backbone;  ///< folder of the backbone where it lies elsewhere; empty: in `folder`
};

/// Everything but the tokenizer (text/ reads that; Model::tokenizer stays empty).
/// Errors name the file and the tensor or field: not_found, invalid_input (broken, missing tensor,
/// wrong shape), unsupported (architecture, activation, adapter variant...).
Result<model::Model> load(const Source& source);

/// One line of `tilewise check`.
struct Finding {
  enum class Level { supported, note, unsupported };
  Level level = Level::supported;
  std::string subject;  ///< "architecture", "adapter", "task duplicate"
  std::string detail;   ///< "BertForSequenceClassification, 6 layers, hidden 384", or why it is not
                        ///< supported
};

/// What is supported and what is not, without stopping at the first problem. Weights are checked by
/// name and shape but not converted. Fails only when the folder cannot be read at all.
Result<std::vector<Finding>> check(const Source& source);

}  // namespace tilewise::checkpoint
