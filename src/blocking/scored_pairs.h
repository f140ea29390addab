// What a batch job wrote about pairs -> which records it compared, and what came out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "rows/reader.h"

namespace tilewise::blocking {

/// Two records and the verdict on them.
struct ScoredPair {
  std::string left, right;  ///< their ids, as plain text
  float score = 0;
  bool matched = false;  ///< has the task's label, or a score of at least the threshold
};

struct ScoredOptions {
  std::string task = {};                 ///< whose answer is meant, where rows hold several
  std::optional<double> threshold = {};  ///< on the score; else the label decides
};

/// A row of answers before it is known which records it is about.
struct ScoredRow {
  std::string id;                          ///< of the pair, as plain text; "": none
  std::optional<std::string> left, right;  ///< left_id, right_id, where the row has them
  std::optional<double> score;
  std::optional<bool> labelled;  ///< nullopt where the row has no `label` at all
};

/// Reads one row: {"id", "score", "label"}, optionally with "left_id" and "right_id"; with several
/// tasks score and label stand in {"TASK": {...}}. CSV has columns of these names ("TASK.score").
/// Not thread-safe.
class ScoredRowParser {
 public:
  explicit ScoredRowParser(std::string task);
  ~ScoredRowParser();
  ScoredRowParser(ScoredRowParser&&) noexcept;
  ScoredRowParser& operator=(ScoredRowParser&&) noexcept;

  /// Overwrites `row`. Errors: invalid_input with file:line, expected and found.
  Status parse(const rows::LineReader::Line& line, ScoredRow& row);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// "LEFT~RIGHT" -> both. Errors: invalid_input where there is not exactly one "~".
Status split_id(const std::string& id, ScoredPair& pair);

/// The files of one argument: those of a directory of batch output are its parts. Errors: those of
/// rows::list_inputs; invalid_input for the directory of a job that has not ended.
Result<std::vector<rows::InputFile>> list_scored(const std::string& path);

}  // namespace tilewise::blocking
