// How many replicas there are and on which processors their threads run.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"

namespace tilewise::engine {

struct Placement {
  int32_t replicas = 1;
  int32_t cores_per_replica = 1;
  /// The logical processors of each replica's threads; empty: nothing is pinned.
  std::vector<std::vector<int32_t>> cpus;

  std::span<const int32_t> cpus_of(int32_t replica) const {
    return cpus.empty() ? std::span<const int32_t>() : cpus[replica];
  }

  /// Pins the calling thread to a replica's first processor, if it has one; a failure is logged.
  void pin(int32_t replica) const;
};

/// From the options and what this process may use. Errors: those of `cores_per_replica`.
Result<Placement> place_replicas(const Options& options);

/// The error of a system that gives no more threads.
Status no_threads(const Placement& placement, const std::string& reason);

}  // namespace tilewise::engine
