// What the rows of a job are asked.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "batch/job.h"
#include "batch/previous_run.h"
#include "batch/record_store.h"
#include "engine/engine.h"
#include "rows/writer.h"

namespace tilewise::batch {

/// Constant; must outlive the chunks that use it.
struct Question {
  /// Errors: those of Engine::find_tasks.
  static Result<Question> create(const engine::Engine& engine, const Options& options);

  engine::TaskSet set;
  std::vector<const model::Task*> tasks;  ///< into the engine's metadata
  engine::PredictOptions predict;
  rows::ResultWriter writer;
  size_t width = 0;  ///< floats of a row's raw outputs
  Shard shard;
  bool writes_scores = false;

  /// The catalogues of either side where rows are id pairs; else null. May be the same.
  const RecordStore* left = nullptr;
  const RecordStore* right = nullptr;
  const PreviousRun* previous = nullptr;  ///< null: none

  /// The task that says how all of them read their input.
  const model::Task& task() const { return *tasks.front(); }
  bool is_of_id_pairs() const { return left != nullptr; }
  /// Whether the row with this key belongs to the job's shard.
  bool is_mine(std::string_view key) const;
};

}  // namespace tilewise::batch
