// How many layers answers took, where tasks have exits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rows/json_writer.h"

namespace tilewise::batch {

/// Of one task with exits.
struct TaskDepth {
  std::string task;
  double layers = 0;  ///< summed over its answers

  bool operator==(const TaskDepth&) const = default;
};

using Depths = std::vector<TaskDepth>;

/// Adds `more` to `sum`, task by task.
void add_depths(const Depths& more, Depths& sum);

/// Layers of an answer, task by task; empty where there are no answers.
Depths mean_depths(const Depths& sum, int64_t answers);

/// "depth", the means as an object; nothing where there are none.
void write_depth(const Depths& means, rows::JsonWriter& json);

}  // namespace tilewise::batch
