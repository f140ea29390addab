#include "rows/writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <variant>

#include "rows/csv_answers.h"

namespace tilewise::rows {
namespace {

void append_binary(const model::Task& task, const model::Prediction& prediction, std::string& out) {
  out += "\"score\":";
  append_float(prediction.score, out);
  out += ",\"label\":";
  if (prediction.over_threshold && !task.labels.empty()) {
    append_json_string(task.labels.front(), out);
  } else {
    out += "null";
  }
}

/// The members of one answer, without the braces around them.
void append_members(const model::Task& task, const model::Prediction& prediction,
                    const OutputOptions& options, std::string& out) {
  switch (task.kind) {
    case model::TaskKind::binary:
      append_binary(task, prediction, out);
      break;
    case model::TaskKind::multiclass:
    case model::TaskKind::multilabel:
      out += "\"labels\":";
      append_labels(task, prediction.labels, out);
      break;
    case model::TaskKind::regression:
      out += "\"value\":";
      append_float(prediction.value, out);
      break;
    case model::TaskKind::embedding:
      out += "\"embedding\":";
      append_floats(prediction.embedding, out);
      break;
  }
  if (prediction.out_of_scope) out += ",\"out_of_scope\":true";
  if (options.logits && task.kind != model::TaskKind::embedding) {
    out += ",\"logits\":";
    append_floats(prediction.logits, out);
  }
  if (!task.exits.empty()) {
    out += ",\"depth\":";
    append_float(prediction.depth, out);
  }
  if (prediction.truncated) out += ",\"truncated\":true";
}

/// A character that JSON does not take as it is.
void append_escaped(char c, std::string& out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      out += "\\u00";
      out += kDigits[static_cast<size_t>(c) >> 4];
      out += kDigits[static_cast<size_t>(c) & 15];
  }
}

/// A string or a record.
void append_content(const model::Content& content, std::string& out) {
  if (const auto* text = std::get_if<std::string>(&content)) {
    append_json_string(*text, out);
    return;
  }
  out += '{';
  for (const model::Record::Field& field : std::get<model::Record>(content).fields) {
    if (out.back() != '{') out += ',';
    append_json_string(field.name, out);
    out += ':';
    append_json_string(field.value, out);
  }
  out += '}';
}

}  // namespace

void append_prediction(const std::string& row_id, std::span<const model::Task* const> tasks,
                       std::span<const model::Prediction> predictions, const OutputOptions& options,
                       std::string& out) {
  out += "{\"id\":";
  out += row_id;
  for (size_t t = 0; t < tasks.size(); ++t) {
    out += ',';
    if (tasks.size() > 1) {
      append_json_string(tasks[t]->name, out);
      out += ":{";
    }
    append_members(*tasks[t], predictions[t], options, out);
    if (tasks.size() > 1) out += '}';
  }
  out += "}\n";
}

ResultWriter::ResultWriter(std::span<const model::Task* const> tasks, const OutputOptions& options,
                           int32_t top)
    : tasks_(tasks.begin(), tasks.end()), options_(options), top_(top) {}

void ResultWriter::append_header(std::string& out) const {
  if (options_.format != Format::json_lines) append_csv_header(tasks_, options_, top_, out);
}

void ResultWriter::append(const std::string& row_id, std::span<const model::Prediction> predictions,
                          std::string& out) const {
  if (options_.format == Format::json_lines) {
    append_prediction(row_id, tasks_, predictions, options_, out);
  } else {
    append_csv_answers(row_id, tasks_, predictions, options_, top_, out);
  }
}

void append_row(const model::Row& row, std::string& out) {
  out += "{\"id\":";
  out += row.id;
  if (const auto* text = std::get_if<model::TextInput>(&row.input)) {
    out += ",\"text\":";
    append_content(text->text, out);
  } else {
    const auto& pair = std::get<model::PairInput>(row.input);
    out += ",\"left\":";
    append_content(pair.left, out);
    out += ",\"right\":";
    append_content(pair.right, out);
  }
  out += "}\n";
}

void append_floats(std::span<const float> values, std::string& out) {
  out += '[';
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    append_float(values[i], out);
  }
  out += ']';
}

void append_labels(const model::Task& task, std::span<const model::LabelScore> labels,
                   std::string& out) {
  out += '[';
  for (size_t i = 0; i < labels.size(); ++i) {
    out += i > 0 ? ",{\"label\":" : "{\"label\":";
    append_json_string(task.labels[labels[i].label], out);
    out += ",\"score\":";
    append_float(labels[i].score, out);
    out += '}';
  }
  out += ']';
}

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  while (!text.empty()) {
    // Most text needs no escape: it goes in one piece.
    const auto stop = std::find_if(text.begin(), text.end(), [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
    });
    const auto plain = static_cast<size_t>(stop - text.begin());
    out.append(text, 0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    append_escaped(text.front(), out);
    text.remove_prefix(1);
  }
  out += '"';
}

void append_float(float value, std::string& out) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  std::array<char, 32> text;  // the longest float32 takes 15
  const auto written = std::to_chars(text.data(), text.data() + text.size(), value);
  out.append(text.data(), written.ptr);
}

}  // namespace tilewise::rows
