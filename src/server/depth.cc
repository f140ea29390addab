#include "server/depth.h"

#include "engine/service.h"

namespace tilewise::server {

DepthTotals depth_of(const engine::Request& request) {
  DepthTotals totals;
  for (size_t t = 0; t < request.tasks.size(); ++t) {
    const size_t task = static_cast<size_t>(request.tasks[t]);
    if (request.model->metadata().tasks[task].task.exits.empty()) continue;
    for (size_t i = 0; i < request.size(); ++i) {
      if (!request.input_statuses.empty() && !request.input_statuses[i].ok()) continue;
      totals.layers += request.values(i, t).back();
      ++totals.answers;
    }
  }
  return totals;
}

}  // namespace tilewise::server
