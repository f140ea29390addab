// A few lines of input on their way to answers: the unit of work of a job.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"
#include "rows/reader.h"
#include "rows/writer.h"

namespace tilewise::batch {

/// Lines in a chunk: enough that a pass is full, few enough that all replicas end together.
inline constexpr int64_t kChunkRows = 128;

/// What the rows of a job are asked. Constant; must outlive the chunks that use it.
class Question {
 public:
  /// Errors: those of Engine::find_tasks.
  static Result<Question> create(const engine::Engine& engine, const std::string& tasks,
                                 const engine::PredictOptions& predict,
                                 const rows::OutputOptions& format);

  model::InputKind input_kind() const { return tasks_.front()->input; }

 private:
  friend class Chunk;
  engine::TaskSet set_;
  std::vector<const model::Task*> tasks_;  // into the engine's metadata
  engine::PredictOptions predict_;
  rows::OutputOptions format_;
};

/// Owns its lines, its answers and all memory on the way, which is reused from one filling to the
/// next. Not thread-safe: the reader fills it, a replica's thread answers it, the writer empties
/// it.
class Chunk {
 public:
  explicit Chunk(const Question& question);

  rows::LineReader::Chunk input;
  double fraction = -1;  ///< of the input bytes up to the end of this chunk; see LineReader

  /// Parses, scores and writes the input's lines into the fields below. Does not throw.
  void answer(engine::Worker& worker);

  std::string output;            ///< JSON lines, one a row that was not rejected
  std::vector<Status> rejected;  ///< in the order of the input
  int64_t tokens = 0;
  Status failure;  ///< not of a row but of the whole chunk (memory)

 private:
  void parse();
  void write();

  const Question* question_;
  rows::RowParser parser_;
  std::vector<model::Row> rows_;             // one a line
  std::vector<Status> parse_statuses_;       // one a line
  std::vector<const model::Input*> inputs_;  // of the rows that parsed
  std::vector<engine::Outcome> outcomes_;
};

}  // namespace tilewise::batch
