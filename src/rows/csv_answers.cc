#include "rows/csv_answers.h"

#include <algorithm>
#include <string_view>

#include "rows/csv.h"
#include "rows/csv_writer.h"

namespace tilewise::rows {
namespace {

/// Pairs of columns for the labels of a multiclass task.
size_t label_columns(const model::Task& task, int32_t top) {
  return top > 0 ? std::min(task.labels.size(), static_cast<size_t>(top)) : task.labels.size();
}

bool has_logits(const model::Task& task, const OutputOptions& options) {
  return options.logits && task.kind != model::TaskKind::embedding;
}

/// Writes the names of a task's columns.
class TaskHeader {
 public:
  TaskHeader(std::string prefix, CsvWriter& line) : prefix_(std::move(prefix)), line_(line) {}

  void add(std::string_view name) { line_.cell(prefix_ + std::string(name)); }

  void add_labels(size_t count) {
    for (size_t i = 1; i <= count; ++i) {
      const std::string number = i == 1 ? "" : "_" + std::to_string(i);
      add("label" + number);
      add("score" + number);
    }
  }

 private:
  std::string prefix_;
  CsvWriter& line_;
};

void append_answer_header(const model::Task& task, int32_t top, TaskHeader& header) {
  switch (task.kind) {
    case model::TaskKind::binary:
      header.add("score");
      header.add("label");
      break;
    case model::TaskKind::multiclass:
      header.add_labels(label_columns(task, top));
      if (task.out_of_scope) header.add("out_of_scope");
      break;
    case model::TaskKind::multilabel:
      header.add("labels");
      break;
    case model::TaskKind::regression:
      header.add("value");
      break;
    case model::TaskKind::embedding:
      header.add("embedding");
      break;
  }
}

void append_ranked(const model::Task& task, const model::Prediction& prediction, int32_t top,
                   CsvWriter& line) {
  const size_t columns = label_columns(task, top);
  for (size_t i = 0; i < columns; ++i) {
    if (i < prediction.labels.size()) {
      line.cell(task.labels[prediction.labels[i].label]);
      line.float_cell(prediction.labels[i].score);
    } else {
      line.cell("");
      line.cell("");
    }
  }
  if (task.out_of_scope) line.flag_cell(prediction.out_of_scope);
}

void append_answer(const model::Task& task, const model::Prediction& prediction, int32_t top,
                   CsvWriter& line) {
  std::string json;
  switch (task.kind) {
    case model::TaskKind::binary:
      line.float_cell(prediction.score);
      line.cell(prediction.over_threshold && !task.labels.empty() ? task.labels.front() : "");
      break;
    case model::TaskKind::multiclass:
      append_ranked(task, prediction, top, line);
      break;
    case model::TaskKind::multilabel:
      append_labels(task, prediction.labels, json);
      line.cell(json);
      break;
    case model::TaskKind::regression:
      line.float_cell(prediction.value);
      break;
    case model::TaskKind::embedding:
      append_floats(prediction.embedding, json);
      line.cell(json);
      break;
  }
}

}  // namespace

void append_csv_header(std::span<const model::Task* const> tasks, const OutputOptions& options,
                       int32_t top, std::string& out) {
  CsvWriter line(delimiter_of(options.format), out);
  line.cell("id");
  for (const model::Task* task : tasks) {
    TaskHeader header(tasks.size() > 1 ? task->name + "." : "", line);
    append_answer_header(*task, top, header);
    if (has_logits(*task, options)) header.add("logits");
    if (!task->exits.empty()) header.add("depth");
    header.add("truncated");
  }
  line.end_line();
}

void append_csv_answers(const std::string& row_id, std::span<const model::Task* const> tasks,
                        std::span<const model::Prediction> predictions,
                        const OutputOptions& options, int32_t top, std::string& out) {
  CsvWriter line(delimiter_of(options.format), out);
  line.id_cell(row_id);
  for (size_t t = 0; t < tasks.size(); ++t) {
    append_answer(*tasks[t], predictions[t], top, line);
    if (has_logits(*tasks[t], options)) {
      std::string logits;
      append_floats(predictions[t].logits, logits);
      line.cell(logits);
    }
    if (!tasks[t]->exits.empty()) line.float_cell(predictions[t].depth);
    line.flag_cell(predictions[t].truncated);
  }
  line.end_line();
}

}  // namespace tilewise::rows
