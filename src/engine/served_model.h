// What a service keeps of a model that it has loaded.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/service.h"
#include "runtime/job.h"
#include "runtime/pass_time.h"

namespace tilewise::engine {

struct ServedModel::State : runtime::Lane {
  std::shared_ptr<const LoadedModel> loaded;
  uint64_t id = 0;                               // of no other model of the service, ever
  runtime::PassTime fitted;                      // as measured when it was loaded
  std::vector<std::unique_ptr<Worker>> workers;  // one a replica
};

}  // namespace tilewise::engine
