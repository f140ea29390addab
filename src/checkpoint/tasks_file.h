// tasks.json: the tasks of a multi-task folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/json.h"
#include "model/encoder_spec.h"
#include "model/task.h"

namespace tilewise::checkpoint {

struct TasksFile {
  std::optional<std::string> backbone_sha256;  ///< lower-case hexadecimal
  std::string backbone_name;  ///< "package" of the backbone, to name it in messages; may be empty
  std::vector<model::Task> tasks;
  /// Of each task's exits: NAME.weight and NAME.bias in heads.safetensors.
  std::vector<std::vector<std::string>> exit_heads;
};

struct TasksContext {
  model::EncoderSpec
      spec;  ///< sizes are 0 where config.json could not be read; limits are not checked then
  int32_t longest = 0;  ///< default of max_tokens
  bool checkpoint_head =
      false;  ///< tasks use the checkpoint's own classifier instead of heads.safetensors
  model::Pooling classifier_pooling = model::Pooling::cls;  ///< what that classifier stands on
};

/// Every field is checked: names, labels, limits, and that a field suits the task's kind. Problems
/// go to `report` under "task NAME"; the tasks that have none are returned.
TasksFile read_tasks(const JsonFile& file, const TasksContext& context, Report& report);

}  // namespace tilewise::checkpoint
