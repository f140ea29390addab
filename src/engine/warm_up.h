// The first passes of a model on a replica: they bring it into the caches, and tell how long passes
// take.
#pragma once

#include <vector>

#include "base/clock.h"
#include "engine/loaded_model.h"
#include "engine/replica_loop.h"
#include "runtime/pass_time.h"

namespace tilewise::engine {

/// Runs every head and every exit once, so that no request meets cold weights. To be called on the
/// replica's core.
void warm_up(const LoadedModel& model, Worker& worker, ReplicaTurn& turn, const Clock& clock);

/// Measured passes of several shapes at full depth, for about 30 ms where passes are short. To be
/// called on the replica's core, which other passes may use in between.
std::vector<runtime::PassSample> measure_passes(const LoadedModel& model, Worker& worker,
                                                ReplicaTurn& turn, const Clock& clock);

}  // namespace tilewise::engine
