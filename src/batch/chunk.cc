#include "batch/chunk.h"

#include <exception>

#include "batch/rejection.h"
#include "batch/score_file.h"

namespace tilewise::batch {
namespace {

/// More than this is given back after a chunk that needed it.
constexpr size_t kKeptBytes = size_t{1} << 20;

void clear_text(std::string& text) {
  if (text.capacity() > kKeptBytes) text = {};
  text.clear();
}

}  // namespace

Chunk::Chunk(const Question& question) : question_(&question), intake_(question) {
  for (const model::Task* task : question.tasks) {
    if (!task->exits.empty()) depths.push_back({.task = task->name});
  }
}

void Chunk::answer(engine::Worker& worker) {
  clear();
  try {
    const int64_t tokens_before = worker.counters().tokens;
    worker.start(question_->set, question_->predict);
    take(worker);
    reuse(worker);
    worker.run();
    write(worker);
    tokens = worker.counters().tokens - tokens_before;
  } catch (const std::exception& error) {
    failure = unavailable_machine({.what = "cannot score these rows",
                                   .where = rows::describe(input.lines.front().position),
                                   .found = error.what(),
                                   .remedy = "Give the process more memory"});
  }
}

void Chunk::clear() {
  clear_text(output);
  clear_text(scores);
  clear_text(rejections);
  rejected.clear();
  rows = reused = tokens = 0;
  for (TaskDepth& depth : depths) depth.layers = 0;
  failure = {};
}

void Chunk::take(engine::Worker& worker) {
  for (const rows::LineReader::Line& line : input.lines) {
    const Intake::Taken taken = intake_.take(line, worker);
    if (taken == Intake::Taken::other) continue;
    ++rows;
    if (taken == Intake::Taken::added) {
      if (ids_.size() < worker.added()) ids_.emplace_back();
      ids_[worker.added() - 1] = intake_.id();
    } else {
      append_rejection(line.position, intake_.id(), intake_.status(), rejections);
      rejected.push_back(intake_.status());
    }
  }
}

void Chunk::reuse(engine::Worker& worker) {
  if (question_->previous == nullptr) return;
  for (size_t i = 0; i < worker.added(); ++i) {
    const auto values = question_->previous->find(worker.key(i));
    if (!values) continue;
    worker.answer(i, *values);
    ++reused;
  }
}

void Chunk::write(const engine::Worker& worker) {
  for (size_t i = 0; i < worker.added(); ++i) {
    worker.fill(i, predictions_);
    count_depths();
    question_->writer.append(ids_[i], predictions_, output);
    if (question_->writes_scores) append_score(worker.key(i), worker.values(i), scores);
  }
}

// Of predictions_.
void Chunk::count_depths() {
  auto depth = depths.begin();
  for (size_t t = 0; t < predictions_.size(); ++t) {
    if (!question_->tasks[t]->exits.empty()) (depth++)->layers += predictions_[t].depth;
  }
}

}  // namespace tilewise::batch
