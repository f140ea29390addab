#include "batch/depth.h"

#include <algorithm>

namespace tilewise::batch {

void add_depths(const Depths& more, Depths& sum) {
  for (const TaskDepth& depth : more) {
    const auto found = std::ranges::find(sum, depth.task, &TaskDepth::task);
    if (found == sum.end()) {
      sum.push_back(depth);
    } else {
      found->layers += depth.layers;
    }
  }
}

Depths mean_depths(const Depths& sum, int64_t answers) {
  if (answers == 0) return {};
  Depths means = sum;
  for (TaskDepth& depth : means) depth.layers /= static_cast<double>(answers);
  return means;
}

void write_depth(const Depths& means, rows::JsonWriter& json) {
  if (means.empty()) return;
  json.key("depth").begin_object();
  for (const TaskDepth& depth : means) json.key(depth.task).number(depth.layers);
  json.end_object();
}

}  // namespace tilewise::batch
