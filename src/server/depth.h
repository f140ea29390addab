// How many layers the answers of a request took, where its tasks have exits.
#pragma once

#include <cstdint>

#include "engine/request.h"

namespace tilewise::server {

struct DepthTotals {
  double layers = 0;    ///< summed over
  int64_t answers = 0;  ///< so many: one an input and task with exits

  double mean() const { return layers / static_cast<double>(answers); }
};

/// Of a request that was answered. Allocates nothing.
DepthTotals depth_of(const engine::Request& request);

}  // namespace tilewise::server
