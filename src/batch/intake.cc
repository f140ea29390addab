#include "batch/intake.h"

#include "batch/rejection.h"

namespace tilewise::batch {
namespace {

Status no_record(const char* side, const std::string& id) {
  return invalid_input({.what = "no record of the catalogue has this id",
                        .where = side,
                        .expected = "the id of a record",
                        .found = id,
                        .remedy = "Add the record, or leave the pair out"});
}

}  // namespace

Intake::Intake(const Question& question) : question_(&question), parser_(question.task().input) {}

Intake::Taken Intake::take(const rows::LineReader::Line& line, engine::Worker& worker) {
  return question_->is_of_id_pairs() ? take_id_pair(line, worker) : take_row(line, worker);
}

Intake::Taken Intake::take_row(const rows::LineReader::Line& line, engine::Worker& worker) {
  status_ = parser_.parse(line, row_);
  if (!status_.ok()) {
    row_.id.clear();
    return question_->is_mine(line.text) ? Taken::rejected : Taken::other;
  }
  if (!question_->is_mine(row_.has_id ? std::string_view(row_.id) : line.text)) return Taken::other;
  status_ = worker.add(row_.input);
  if (status_.ok()) return Taken::added;
  status_ = at_row(status_, line.position);
  return Taken::rejected;
}

Intake::Taken Intake::take_id_pair(const rows::LineReader::Line& line, engine::Worker& worker) {
  status_ = parser_.parse_id_pair(line, pair_);
  if (!status_.ok()) {
    pair_.id.clear();
    return question_->is_mine(line.text) ? Taken::rejected : Taken::other;
  }
  if (question_->shard.count > 1) {
    key_ = pair_.left;
    key_ += '~';
    key_ += pair_.right;
    if (!question_->is_mine(key_)) return Taken::other;
  }
  status_ = add_id_pair(worker);
  if (status_.ok()) return Taken::added;
  status_ = at_row(status_, line.position);
  return Taken::rejected;
}

Status Intake::add_id_pair(engine::Worker& worker) {
  const auto left = question_->left->find(pair_.left, left_);
  if (!left) return no_record("left_id", pair_.left);
  const auto right = question_->right->find(pair_.right, right_);
  if (!right) return no_record("right_id", pair_.right);
  return worker.add_pair(*left, *right);
}

}  // namespace tilewise::batch
