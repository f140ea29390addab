// Predictions -> JSON lines, in the form that the design lays down. Floats are the shortest text
// that reads back equal.
#pragma once

#include <span>
#include <string>

#include "model/row.h"
#include "model/task.h"

namespace tilewise::rows {

struct OutputOptions {
  bool logits = false;
};

/// Appends one line with its line end. With several tasks each answer stands under its task's name.
/// tasks.size() == predictions.size() >= 1.
void append_prediction(const std::string& row_id, std::span<const model::Task* const> tasks,
                       std::span<const model::Prediction> predictions, const OutputOptions& options,
                       std::string& out);

/// Appends `text` as a JSON string in quotes.
void append_json_string(std::string_view text, std::string& out);

/// Appends the shortest decimal that reads back as the same float32; null for what JSON cannot
/// express (NaN, infinities).
void append_float(float value, std::string& out);

}  // namespace tilewise::rows
