// Columns in, columns out: rows of the columns go to the replicas in shares, and the shares'
// answers are put together in the order of the rows.
#include <algorithm>
#include <exception>
#include <memory>
#include <utility>

#include <tilewise/columns.h>
#include <tilewise/tilewise.h>

#include "api/convert.h"
#include "api/model_state.h"
#include "api/shares.h"
#include "engine/engine.h"
#include "model/content_view.h"

namespace tilewise {
namespace {

/// Rows: enough that a pass is full, few enough that all replicas end together.
constexpr int64_t kLargestShare = 128;

/// What all shares of a call have in common. Outlives them.
struct Call {
  const model::Task& task;
  engine::TaskSet tasks;  // that one
  engine::PredictOptions predict;
  size_t width;  // floats of an answer
  bool logits;
  const ContentColumn& left;
  const ContentColumn* right;  // null: single texts
};

int64_t rows_of(const ContentColumn& column) {
  if (const auto* texts = std::get_if<StringColumn>(&column)) return texts->rows();
  return std::get<RecordColumn>(column).rows;
}

/// A row of a column as the engine takes it. `fields` is the memory of a record's. Errors:
/// invalid_input for a text that is not there.
Result<model::ContentView> view(const ContentColumn& column, int64_t row,
                                std::vector<model::FieldView>& fields) {
  if (const auto* texts = std::get_if<StringColumn>(&column)) {
    if (texts->has(row)) return model::ContentView((*texts)[row]);
    return invalid_input({.what = "The row has no text",
                          .where = {},
                          .expected = "text",
                          .found = "null",
                          .remedy = {}});
  }
  fields.clear();
  for (const RecordColumn::Field& field : std::get<RecordColumn>(column).fields) {
    if (field.values.has(row)) fields.push_back({field.name, field.values[row]});
  }
  return model::ContentView(model::RecordView(fields));
}

template <class T>
void move_to_end(std::vector<T>& from, std::vector<T>& to) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void append(AnswerColumns& part, AnswerColumns& whole) {
  const int64_t ranked = static_cast<int64_t>(whole.ranked_labels.size());
  for (int64_t& end : part.ranked_ends) end += ranked;
  for (AnswerColumns::Failure& failure : part.failures) failure.row += whole.rows;
  move_to_end(part.scores, whole.scores);
  move_to_end(part.labels, whole.labels);
  move_to_end(part.values, whole.values);
  move_to_end(part.embeddings, whole.embeddings);
  move_to_end(part.logits, whole.logits);
  move_to_end(part.ranked_ends, whole.ranked_ends);
  move_to_end(part.ranked_labels, whole.ranked_labels);
  move_to_end(part.ranked_scores, whole.ranked_scores);
  move_to_end(part.depths, whole.depths);
  move_to_end(part.truncated, whole.truncated);
  move_to_end(part.out_of_scope, whole.out_of_scope);
  move_to_end(part.failures, whole.failures);
  whole.rows += part.rows;
}

/// Some rows on their way to answers, which a replica's thread computes.
class Share {
 public:
  Share(const Call& call, int64_t first, int64_t rows) : call_(call), first_(first), rows_(rows) {}

  /// Does not throw.
  void answer(engine::Worker& worker) {
    try {
      encode(worker);
      worker.run();
      collect(worker);
    } catch (const std::exception& error) {
      failure_ = api::no_memory("row " + std::to_string(first_), error);
    }
  }

  /// Of all rows together, not of one.
  const Status& failure() const { return failure_; }
  AnswerColumns& answers() { return answers_; }

 private:
  void encode(engine::Worker& worker) {
    worker.start(call_.tasks, call_.predict);
    for (int64_t i = 0; i < rows_; ++i) {
      Status status = add(worker, first_ + i);
      if (!status.ok()) answers_.failures.push_back({i, std::move(status)});
    }
  }

  Status add(engine::Worker& worker, int64_t row) {
    TILEWISE_ASSIGN_OR_RETURN(const model::ContentView left, view(call_.left, row, left_fields_));
    if (call_.right == nullptr) return worker.add(left);
    TILEWISE_ASSIGN_OR_RETURN(const model::ContentView right,
                              view(*call_.right, row, right_fields_));
    return worker.add_pair(left, right);
  }

  void collect(const engine::Worker& worker) {
    size_t input = 0;
    size_t failure = 0;
    for (int64_t i = 0; i < rows_; ++i) {
      if (failure < answers_.failures.size() && answers_.failures[failure].row == i) {
        ++failure;
        append_row(kNoAnswer);
      } else {
        worker.fill(input++, predictions_);
        append_row(predictions_.front());
      }
    }
    answers_.rows = rows_;
  }

  void append_row(const model::Prediction& prediction) {
    answers_.truncated.push_back(prediction.truncated ? 1 : 0);
    if (!call_.task.exits.empty()) answers_.depths.push_back(prediction.depth);
    switch (call_.task.kind) {
      case model::TaskKind::binary:
        answers_.scores.push_back(prediction.score);
        answers_.labels.push_back(prediction.over_threshold ? 0 : -1);
        break;
      case model::TaskKind::multiclass:
        append_best(prediction.labels);
        answers_.out_of_scope.push_back(prediction.out_of_scope ? 1 : 0);
        if (call_.predict.top != 1) append_ranked(prediction.labels);
        break;
      case model::TaskKind::multilabel:
        append_ranked(prediction.labels);
        break;
      case model::TaskKind::regression:
        answers_.values.push_back(prediction.value);
        break;
      case model::TaskKind::embedding:
        append_floats(prediction.embedding, answers_.embeddings);
        return;
    }
    if (call_.logits) append_floats(prediction.logits, answers_.logits);
  }

  void append_best(const std::vector<model::LabelScore>& labels) {
    answers_.scores.push_back(labels.empty() ? 0 : labels.front().score);
    answers_.labels.push_back(labels.empty() ? -1 : labels.front().label);
  }

  void append_ranked(const std::vector<model::LabelScore>& labels) {
    for (const model::LabelScore& label : labels) {
      answers_.ranked_labels.push_back(label.label);
      answers_.ranked_scores.push_back(label.score);
    }
    answers_.ranked_ends.push_back(static_cast<int64_t>(answers_.ranked_labels.size()));
  }

  void append_floats(const std::vector<float>& values, std::vector<float>& column) const {
    column.insert(column.end(), values.begin(), values.end());
    if (values.empty()) column.resize(column.size() + call_.width);  // no answer
  }

  inline static const model::Prediction kNoAnswer = {};

  const Call& call_;
  int64_t first_;
  int64_t rows_;
  std::vector<model::Prediction> predictions_;
  std::vector<model::FieldView> left_fields_;
  std::vector<model::FieldView> right_fields_;
  AnswerColumns answers_;
  Status failure_;
};

Status unlike_rows(int64_t left, int64_t right) {
  return invalid_argument({.what = "The two sides of the pairs have not the same number of rows",
                           .where = {},
                           .expected = std::to_string(left),
                           .found = std::to_string(right),
                           .remedy = {}});
}

Result<AnswerColumns> answer_rows(engine::Engine& engine, const Call& call, int64_t rows,
                                  const api::Stop& stop) {
  const int64_t fair = (rows + engine.replicas() - 1) / engine.replicas();
  const int64_t most = std::clamp<int64_t>(fair, 1, kLargestShare);
  int64_t next_row = 0;
  const auto next = [&]() -> std::unique_ptr<Share> {
    const int64_t first = next_row;
    next_row = std::min(rows, first + most);
    return first == next_row ? nullptr : std::make_unique<Share>(call, first, next_row - first);
  };
  AnswerColumns answers;
  const auto finish = [&](Share& share) -> Status {
    TILEWISE_RETURN_IF_ERROR(share.failure());
    append(share.answers(), answers);
    return {};
  };
  TILEWISE_RETURN_IF_ERROR(api::answer_shares<Share>(engine, stop, next, finish));
  return answers;
}

Result<AnswerColumns> answer(engine::Engine& engine, const std::string& name,
                             const ContentColumn& left, const ContentColumn* right,
                             const ColumnOptions& options) {
  const auto kind = right != nullptr ? model::InputKind::pair : model::InputKind::text;
  TILEWISE_ASSIGN_OR_RETURN(const int32_t index, api::find_task(engine.metadata(), name, kind));
  TILEWISE_ASSIGN_OR_RETURN(const engine::PredictOptions predict, api::to_engine(options.predict));
  const int64_t rows = rows_of(left);
  if (right != nullptr && rows_of(*right) != rows) return unlike_rows(rows, rows_of(*right));
  const engine::TaskSet tasks{index};
  const Call call{engine.metadata().tasks[static_cast<size_t>(index)].task,
                  tasks,
                  predict,
                  static_cast<size_t>(api::outputs_of(engine.metadata(), index)),
                  options.logits,
                  left,
                  right};
  return answer_rows(engine, call, rows, options.stop);
}

}  // namespace

Result<AnswerColumns> Model::predict_columns(const std::string& task, const ContentColumn& texts,
                                             const ColumnOptions& options) const {
  TILEWISE_RETURN_IF_ERROR(api::check_single(options.predict));
  return answer(*state_->engine, task, texts, nullptr, options);
}

Result<AnswerColumns> Model::score_columns(const std::string& task, const ContentColumn& left,
                                           const ContentColumn& right,
                                           const ColumnOptions& options) const {
  return answer(*state_->engine, task, left, &right, options);
}

}  // namespace tilewise
