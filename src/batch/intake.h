// From a line of input to an input of a worker's batch, for either shape: rows that hold their
// records, and pairs of ids against catalogues.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "batch/question.h"
#include "engine/engine.h"
#include "rows/reader.h"

namespace tilewise::batch {

/// Owns the memory on the way, which is reused. Not thread-safe.
class Intake {
 public:
  explicit Intake(const Question& question);

  enum class Taken : uint8_t {
    added,     ///< one more input of the worker's batch
    rejected,  ///< status() says why
    other,     ///< another shard's
  };

  /// Between Worker::start() and Worker::run().
  Taken take(const rows::LineReader::Line& line, engine::Worker& worker);

  /// Of the line that was taken last, until the next one: its id as JSON text (empty where the line
  /// could not be parsed), and why it was rejected.
  const std::string& id() const { return question_->is_of_id_pairs() ? pair_.id : row_.id; }
  const Status& status() const { return status_; }

 private:
  Taken take_row(const rows::LineReader::Line& line, engine::Worker& worker);
  Taken take_id_pair(const rows::LineReader::Line& line, engine::Worker& worker);
  Status add_id_pair(engine::Worker& worker);

  const Question* question_;
  rows::RowParser parser_;
  Status status_;
  model::Row row_;
  rows::IdPair pair_;
  std::string key_;
  std::vector<int32_t> left_, right_;
};

}  // namespace tilewise::batch
