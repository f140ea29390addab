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

}  // namespace tilewise::batch
