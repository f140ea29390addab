// The exits of a task in tasks.json (adaptive depth).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/json.h"
#include "model/task.h"

namespace tilewise::checkpoint {

/// The largest number where nothing known limits one: the next ones are numbers, too.
inline constexpr int32_t kNoLimit = 1 << 30;

/// Reads "exits" of a binary or multiclass task, whose other fields have been read, into
/// `task.exits`. `layers`: of the encoder; 0: not known, and not checked. Returns the names of
/// their heads: NAME.weight and NAME.bias in heads.safetensors. Problems go to the object's report.
std::vector<std::string> read_exits(const JsonObject& object, int32_t layers, model::Task& task);

}  // namespace tilewise::checkpoint
