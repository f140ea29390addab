// Predictions -> JSON lines or CSV, in the form that the design lays down. Floats are the shortest
// text that reads back equal, so both carry the same numbers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/row.h"
#include "model/task.h"
#include "rows/format.h"

namespace tilewise::rows {

struct OutputOptions {
  bool logits = false;
  Format format = Format::json_lines;
};

/// Appends one line with its line end. With several tasks each answer stands under its task's name.
/// tasks.size() == predictions.size() >= 1.
void append_prediction(const std::string& row_id, std::span<const model::Task* const> tasks,
                       std::span<const model::Prediction> predictions, const OutputOptions& options,
                       std::string& out);

/// Writes the answers of one set of tasks in one format. Constant; thread-safe.
///
/// CSV and TSV (RFC 4180, lines end with LF) have these columns, with several tasks each after
/// "TASK.":
/// - binary: score, label (empty under the threshold);
/// - multiclass: label, score, label_2, score_2, ... up to `top`; out_of_scope where the task has
/// it;
/// - multilabel: labels, and embedding: embedding, each the array of the JSON lines; regression:
///   value;
/// - logits, an array of JSON, where asked for; depth where the task has exits; truncated. true or
///   false stand in both flags.
class ResultWriter {
 public:
  /// `top`: labels of a multiclass answer, 0: all; as in engine::PredictOptions. The tasks must
  /// outlive the writer.
  ResultWriter(std::span<const model::Task* const> tasks, const OutputOptions& options,
               int32_t top);

  /// The names of the columns, once at the start of a file; nothing for JSON lines.
  void append_header(std::string& out) const;

  /// One line with its line end. `row_id` is JSON text. predictions.size() == tasks.size() >= 1.
  void append(const std::string& row_id, std::span<const model::Prediction> predictions,
              std::string& out) const;

 private:
  std::vector<const model::Task*> tasks_;
  OutputOptions options_;
  int32_t top_;
};

/// Appends a row as the line of JSON that RowParser reads as the same row.
void append_row(const model::Row& row, std::string& out);

/// Appends {"label","score"} for each, in an array.
void append_labels(const model::Task& task, std::span<const model::LabelScore> labels,
                   std::string& out);

/// Appends an array of numbers.
void append_floats(std::span<const float> values, std::string& out);

/// Appends `text` as a JSON string in quotes.
void append_json_string(std::string_view text, std::string& out);

/// Appends the shortest decimal that reads back as the same float32; null for what JSON cannot
/// express (NaN, infinities).
void append_float(float value, std::string& out);

}  // namespace tilewise::rows
