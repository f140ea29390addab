#include "eval/evaluation.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/clock.h"
#include "rows/reader.h"

namespace tilewise::eval {
namespace {

using OnRejected = std::function<void(const Status&)>;

/// Rows that are answered together: some passes for each of many replicas.
constexpr size_t kRows = 4096;

Status at_line(const Status& status, const std::string& line) {
  Problem problem = status.problem();
  problem.where = line + (problem.where.empty() ? "" : ", " + problem.where);
  return {status.code(), std::move(problem)};
}

class Evaluation {
 public:
  Evaluation(engine::Engine& engine, engine::TaskSet tasks, const Options& options,
             TruthParser truths, const OnRejected& on_rejected)
      : engine_(engine),
        tasks_(std::move(tasks)),
        predict_(options.predict),
        limit_(options.limit),
        task_(engine.metadata().tasks[tasks_.front()].task),
        layers_(engine.metadata().spec.layers),
        rows_(task_.input),
        truths_(std::move(truths)),
        on_rejected_(on_rejected),
        collector_(task_, options.predict, layers_) {
    predict_.top = 0;  // the probability of the right label is wanted, whichever it is
  }

  Status read(rows::LineReader& reader);
  Report report() const;

 private:
  void add(const rows::LineReader::Line& line);
  void answer();
  void count_changed();
  void reject(const Status& status) {
    ++rejected_;
    on_rejected_(status);
  }

  engine::Engine& engine_;
  const engine::TaskSet tasks_;
  engine::PredictOptions predict_;
  const int64_t limit_;
  const model::Task& task_;
  const int32_t layers_;
  rows::RowParser rows_;
  TruthParser truths_;
  const OnRejected& on_rejected_;
  Collector collector_;

  // What waits for its answers.
  std::vector<model::Input> inputs_;
  std::vector<Truth> due_;
  std::vector<std::string> lines_;

  // What exits have answered.
  std::vector<model::Input> early_inputs_;
  std::vector<model::Prediction> early_;

  int64_t rejected_ = 0;
  int64_t truncated_ = 0;
  double depth_ = 0;  // sum over the rows
  int64_t changed_ = 0;
};

void Evaluation::add(const rows::LineReader::Line& line) {
  model::Row row;
  Truth truth;
  Status status = rows_.parse(line, row);
  if (status.ok()) status = truths_.parse(line, truth);
  if (!status.ok()) return reject(status);
  inputs_.push_back(std::move(row.input));
  due_.push_back(std::move(truth));
  lines_.push_back(rows::describe(line.position));
}

void Evaluation::answer() {
  auto outcomes = engine_.predict(inputs_, tasks_, predict_);
  for (size_t i = 0; i < outcomes.size(); ++i) {
    if (!outcomes[i].status.ok()) {
      reject(at_line(outcomes[i].status, lines_[i]));
      continue;
    }
    model::Prediction& prediction = outcomes[i].predictions.front();
    truncated_ += prediction.truncated ? 1 : 0;
    depth_ += prediction.depth;
    collector_.add(prediction, due_[i]);
    if (!collector_.is_early(prediction)) continue;
    early_inputs_.push_back(std::move(inputs_[i]));
    early_.push_back(std::move(prediction));
  }
  count_changed();
  inputs_.clear();
  due_.clear();
  lines_.clear();
}

void Evaluation::count_changed() {
  engine::PredictOptions at_full_depth = predict_;
  at_full_depth.full_depth = true;
  const auto outcomes = engine_.predict(early_inputs_, tasks_, at_full_depth);
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const auto& predictions = outcomes[i].predictions;  // none: it could be answered a moment ago
    changed_ += !predictions.empty() && is_same_decision(early_[i], predictions.front()) ? 0 : 1;
  }
  early_inputs_.clear();
  early_.clear();
}

Status Evaluation::read(rows::LineReader& reader) {
  int64_t left = limit_ > 0 ? limit_ : std::numeric_limits<int64_t>::max();
  rows::LineReader::Chunk chunk;
  while (!reader.at_end() && left > 0) {
    const auto most = static_cast<size_t>(std::min<int64_t>(left, kRows));
    TILEWISE_RETURN_IF_ERROR(reader.next(most, chunk));
    left -= static_cast<int64_t>(chunk.lines.size());
    for (const rows::LineReader::Line& line : chunk.lines) add(line);
    if (inputs_.size() >= kRows) answer();
  }
  answer();
  return {};
}

Report Evaluation::report() const {
  Report report{.rows = collector_.rows(),
                .rejected = rejected_,
                .truncated = truncated_,
                .quality = collector_.quality()};
  const auto rows = static_cast<double>(report.rows);
  if (!task_.exits.empty() && report.rows > 0) {
    report.depth = {
        .mean = depth_ / rows, .layers = layers_, .changed = static_cast<double>(changed_) / rows};
  }
  return report;
}

}  // namespace

Result<Report> evaluate(engine::Engine& engine, const Options& options,
                        const OnRejected& on_rejected) {
  TILEWISE_ASSIGN_OR_RETURN(engine::TaskSet tasks, engine.find_tasks(options.task));
  if (tasks.size() != 1) {
    return invalid_argument({.what = "quality is measured one task at a time",
                             .where = "--task",
                             .expected = "one task",
                             .found = options.task});
  }
  const model::Task& task = engine.metadata().tasks[tasks.front()].task;
  TILEWISE_ASSIGN_OR_RETURN(TruthParser truths, TruthParser::create(task, options.truth));
  TILEWISE_ASSIGN_OR_RETURN(
      rows::LineReader reader,
      rows::LineReader::open(options.inputs, options.stop, rows::Hashing::none));
  const Time start = SteadyClock().now();
  Evaluation evaluation(engine, std::move(tasks), options, std::move(truths), on_rejected);
  TILEWISE_RETURN_IF_ERROR(evaluation.read(reader));
  Report report = evaluation.report();
  report.seconds = seconds_between(start, SteadyClock().now());
  if (report.rows > 0) return report;
  return invalid_input({.what = "there is no row to measure quality on",
                        .where = options.inputs.front(),
                        .expected = "rows with a usable input and a label",
                        .found = std::to_string(report.rejected) + " rejected rows"});
}

}  // namespace tilewise::eval
