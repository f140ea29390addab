// What a labelled row should be answered with.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/task.h"
#include "rows/reader.h"

namespace tilewise::eval {

/// The fields that a task's kind has.
struct Truth {
  bool positive = false;             ///< binary
  int32_t label = 0;                 ///< multiclass: index into Task::labels; -1: none of them
  std::vector<int32_t> labels = {};  ///< multilabel, each once
  float value = 0;                   ///< regression
};

/// Reads the label of rows of one task. Owns the parser's memory: one a thread.
///
/// JSON: the value of `field`; CSV: the cell of that column.
/// - binary: 0, 1, false, true, the task's label, or null for none
/// - multiclass: a label; null or the name of what is out of scope for none of them
/// - multilabel: an array of labels
/// - regression: a number
class TruthParser {
 public:
  struct Options {
    std::string field = "label";
    std::string out_of_scope = "oos";  ///< unless the task has a label of that name
  };

  /// `task` must outlive the parser. Errors: invalid_argument for an embedding, which has no label.
  static Result<TruthParser> create(const model::Task& task, Options options);
  TruthParser(TruthParser&&) noexcept;
  TruthParser& operator=(TruthParser&&) noexcept;
  ~TruthParser();

  /// Overwrites `truth`. Errors: invalid_input with file:line, field, expected and found.
  Status parse(const rows::LineReader::Line& line, Truth& truth);

 private:
  struct State;
  explicit TruthParser(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::eval
