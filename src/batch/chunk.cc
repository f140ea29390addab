#include "batch/chunk.h"

#include <exception>
#include <utility>

namespace tilewise::batch {
namespace {

/// More than this is given back after a chunk that needed it.
constexpr size_t kKeptOutputBytes = size_t{8} << 20;

/// The engine knows why, but not which row.
Status at_line(const Status& status, const rows::Position& position) {
  Problem problem = status.problem();
  problem.where = rows::describe(position) + (problem.where.empty() ? "" : ", " + problem.where);
  return {status.code(), std::move(problem)};
}

}  // namespace

Result<Question> Question::create(const engine::Engine& engine, const std::string& tasks,
                                  const engine::PredictOptions& predict,
                                  const rows::OutputOptions& format) {
  Question question;
  TILEWISE_ASSIGN_OR_RETURN(question.set_, engine.find_tasks(tasks));
  for (const int32_t index : question.set_) {
    question.tasks_.push_back(&engine.metadata().tasks[index].task);
  }
  question.predict_ = predict;
  question.format_ = format;
  return question;
}

Chunk::Chunk(const Question& question) : question_(&question), parser_(question.input_kind()) {}

void Chunk::answer(engine::Worker& worker) {
  if (output.capacity() > kKeptOutputBytes) output = {};
  output.clear();
  rejected.clear();
  tokens = 0;
  failure = {};
  try {
    const int64_t tokens_before = worker.counters().tokens;
    parse();
    worker.predict(inputs_, question_->set_, question_->predict_, outcomes_);
    write();
    tokens = worker.counters().tokens - tokens_before;
  } catch (const std::exception& error) {
    failure = unavailable_machine({.what = "cannot score these rows",
                                   .where = rows::describe(input.lines.front().position),
                                   .found = error.what(),
                                   .remedy = "Give the process more memory"});
  }
}

void Chunk::parse() {
  rows_.resize(input.lines.size());
  parse_statuses_.resize(input.lines.size());
  inputs_.clear();
  for (size_t i = 0; i < input.lines.size(); ++i) {
    const auto& line = input.lines[i];
    parse_statuses_[i] = parser_.parse(line.text, line.position, rows_[i]);
    if (parse_statuses_[i].ok()) inputs_.push_back(&rows_[i].input);
  }
}

// Answers and refusals in the order of the lines.
void Chunk::write() {
  size_t answered = 0;
  for (size_t i = 0; i < input.lines.size(); ++i) {
    if (!parse_statuses_[i].ok()) {
      rejected.push_back(std::move(parse_statuses_[i]));
      continue;
    }
    const engine::Outcome& outcome = outcomes_[answered++];
    if (outcome.status.ok()) {
      rows::append_prediction(rows_[i].id, question_->tasks_, outcome.predictions,
                              question_->format_, output);
    } else {
      rejected.push_back(at_line(outcome.status, input.lines[i].position));
    }
  }
}

}  // namespace tilewise::batch
