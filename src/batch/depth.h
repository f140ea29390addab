// How many layers answers took, where tasks have exits.
#pragma once

#include <string>
#include <vector>

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

}  // namespace tilewise::batch
