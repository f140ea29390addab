// A few lines of input on their way to answers: the unit of work of a job.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "batch/depth.h"
#include "batch/intake.h"
#include "batch/manifest.h"
#include "batch/question.h"
#include "engine/engine.h"
#include "rows/reader.h"

namespace tilewise::batch {

/// Rows in a chunk: enough that a pass is full, few enough that all replicas end together.
inline constexpr int64_t kChunkRows = 128;

/// Owns its lines, its answers and all memory on the way, which is reused from one filling to the
/// next. Not thread-safe: the reader fills it, a replica's thread answers it, the writer empties
/// it.
class Chunk {
 public:
  explicit Chunk(const Question& question);

  rows::LineReader::Chunk input;
  int64_t part = 0;      ///< to which all of its rows belong
  double fraction = -1;  ///< of the input bytes up to the end of this chunk; see LineReader
  std::optional<PartInput> ended;  ///< the part that ends with this chunk

  /// Parses, scores and writes the input's lines into the fields below. Does not throw.
  void answer(engine::Worker& worker);

  std::string output;            ///< lines, one a row that was not rejected
  std::string scores;            ///< their raw outputs: see score_file.h
  std::string rejections;        ///< JSON lines
  std::vector<Status> rejected;  ///< the same, in the order of the input
  int64_t rows = 0;              ///< answered or rejected: the rest is other shards'
  int64_t reused = 0;            ///< answers of the previous run
  int64_t tokens = 0;
  Depths depths;   ///< of the question's tasks that have exits, in their order
  Status failure;  ///< not of a row but of the whole chunk (memory)

 private:
  void clear();
  void take(engine::Worker& worker);
  void reuse(engine::Worker& worker);
  void write(const engine::Worker& worker);
  void count_depths();

  const Question* question_;
  Intake intake_;
  std::vector<std::string> ids_;  // of the worker's inputs; longer than their number
  std::vector<model::Prediction> predictions_;
};

}  // namespace tilewise::batch
