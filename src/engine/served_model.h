// What a service keeps of a model that it has loaded.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/request.h"
#include "engine/service.h"
#include "runtime/job.h"
#include "runtime/pass_time.h"

namespace tilewise::engine {

struct ServedModel::State {
  /// Requests that may share a pass: those whose sequences leave it at the same depths, so that its
  /// time can be told.
  struct Lane : runtime::Lane {
    State* model = nullptr;
    bool full_depth = false;  ///< no exits are asked
  };

  State();

  /// The lane of these tasks.
  Lane& lane(const TaskSet& tasks, bool full_depth);
  /// Whether the task has exits, and is to answer without them.
  bool ignores_exits(int32_t task, bool full_depth) const {
    return full_depth && !loaded->metadata().tasks[task].task.exits.empty();
  }
  /// Measured when it was loaded, at full depth: the first guess of every lane.
  void set_time(const runtime::PassTime& time);

  std::shared_ptr<const LoadedModel> loaded;
  uint64_t id = 0;                               // of no other model of the service, ever
  runtime::PassTime fitted;                      // as measured when it was loaded
  std::vector<std::unique_ptr<Worker>> workers;  // one a replica
  Lane adaptive;                                 // every task has exits: sequences may leave early
  Lane whole;  // some task has none: all sequences take all layers
  Lane full;   // so they do because the request wants it
};

}  // namespace tilewise::engine
