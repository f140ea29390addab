// Work on all replicas. Private to this folder.
#pragma once

#include <cstddef>
#include <functional>

#include "base/status.h"
#include "engine/engine.h"

namespace tilewise::blocking {

/// What long work asks and tells. Both may be empty.
struct Watch {
  std::function<bool()> stop = {};                    ///< true ends the work as `interrupted`
  std::function<void(size_t done)> on_progress = {};  ///< called by the caller's thread
};

/// Calls work(0) to work(count - 1), each once, on the replicas' threads, and returns when all are
/// done: the first error in the order of the work, `interrupted` when it was stopped. Errors of
/// memory that `work` throws become unavailable_machine.
Status for_each_on_replicas(engine::Engine& engine, size_t count,
                            const std::function<Status(size_t)>& work, const Watch& watch);

}  // namespace tilewise::blocking
