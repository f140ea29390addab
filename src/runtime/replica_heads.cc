// The answers of a pass: the heads behind the last layer, the exits before it, and the block that
// closes up behind the sequences that have left.
#include <algorithm>
#include <cstring>

#include "runtime/replica.h"

namespace tilewise::runtime {

using model::Pooling;

namespace {

/// Sequences that are worth a trip of their cache lines to another member.
constexpr int32_t kGrain = 4;

constexpr int64_t kLineBytes = 64;

/// In the place of a depth: nobody waits for this answer.
constexpr float kNotWanted = -1;

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Who has which answer: it is the depth behind the outputs that says so

void Replica::clear_depths(std::span<const TaskOutput> outputs, int32_t sequences) const {
  for (const TaskOutput& output : outputs) {
    const auto& head = weights_->heads[output.task];
    if (!head || head->exits.empty()) continue;
    const auto width = static_cast<size_t>(head->width());
    for (int32_t s = 0; s < sequences; ++s) {
      const bool is_wanted = output.wanted.empty() || output.wanted[s] != 0;
      output.values[(s + 1) * width - 1] = is_wanted ? 0 : kNotWanted;
    }
  }
}

bool Replica::has_answer(const TaskOutput& output, int32_t number) const {
  const auto& head = weights_->heads[output.task];
  if (!head || head->exits.empty()) return false;
  return output.values[(number + 1) * static_cast<size_t>(head->width()) - 1] != 0;
}

const Head::Exit* Replica::exit_of(const TaskOutput& output, int32_t depth) const {
  const auto& head = weights_->heads[output.task];
  return head ? head->exit_after(depth) : nullptr;
}

bool Replica::has_exit_after(int32_t depth, std::span<const TaskOutput> outputs) const {
  return std::any_of(outputs.begin(), outputs.end(),
                     [&](const TaskOutput& output) { return exit_of(output, depth) != nullptr; });
}

/// The sequences of the block without this answer, into open_; returns how many.
int32_t Replica::list_open(const Member& me, const TaskOutput& output) {
  const auto& head = weights_->heads[output.task];
  if (!head || head->exits.empty()) return packed_.sequences;
  me.wait();  // others may still read the last list
  if (me.is_first()) {
    open_count_ = 0;
    for (int32_t s = 0; s < packed_.sequences; ++s) {
      if (!has_answer(output, packed_.numbers[s])) open_[open_count_++] = s;
    }
  }
  me.wait();
  return open_count_;
}

/// The pooled vectors of the sequences in open_.
Replica::Matrix Replica::open_rows(const Member& me, const Matrix& pooled, int32_t count) const {
  if (count == packed_.sequences) return pooled;
  const Matrix rows = {wide_.data, wide_.stride};  // nothing else is in it behind a layer
  const auto bytes = static_cast<size_t>(pooled.stride < rows.stride ? pooled.stride : rows.stride);
  const Range mine = me.share(count, kGrain);
  for (int32_t r = mine.first; r < mine.last; ++r) {
    std::memcpy(rows.row(r), pooled.row(open_[r]), bytes);
  }
  return rows;
}

/// The batch's number of a row of open_rows().
int32_t Replica::number_of(int32_t row, int32_t count) const {
  return packed_.numbers[count == packed_.sequences ? row : open_[row]];
}

// ---------------------------------------------------------------------------------------------------------------------
// Heads

/// One vector a sequence of the block, for every pooling that a head at this depth reads.
void Replica::pool_all(const Member& me, int32_t depth, std::span<const TaskOutput> outputs) {
  const auto is_wanted = [&](Pooling pooling) {
    return std::any_of(outputs.begin(), outputs.end(), [&](const TaskOutput& output) {
      const bool has_head = depth == weights_->spec.layers || exit_of(output, depth) != nullptr;
      return has_head && poolings_[output.task] == pooling;
    });
  };
  me.wait();
  const int32_t sequences = packed_.sequences;
  if (is_wanted(Pooling::mean)) pool(me, depth, sequences, Pooling::mean, pooled_mean_);
  if (is_wanted(Pooling::cls)) pool(me, depth, sequences, Pooling::cls, pooled_cls_);
}

/// Behind the last layer: every answer that is still open.
void Replica::run_heads(const Member& me, std::span<const TaskOutput> outputs) {
  pool_all(me, weights_->spec.layers, outputs);
  for (const TaskOutput& output : outputs) {
    const Matrix& pooled = poolings_[output.task] == Pooling::mean ? pooled_mean_ : pooled_cls_;
    const auto& head = weights_->heads[output.task];
    const int32_t count = list_open(me, output);
    if (!head) {
      me.wait();
      write_answers(me, output, pooled, count);
    } else if (count > 0) {
      run_head(me, *head, open_rows(me, pooled, count), count);
      write_answers(me, output, logits_, count);
    }
  }
}

/// The logits of these rows.
void Replica::run_head(const Member& me, const Head& head, const Matrix& pooled, int32_t rows) {
  Matrix input = pooled;
  if (head.dense) {
    linear_fp32(me, head.dense->linear, pooled, dense_, rows);
    me.wait();
    activate(me, dense_, rows, weights_->spec.hidden, true, head.dense->activation);
    if (head.dense->norm) norm_fp32(me, dense_, *head.dense->norm, rows);
    input = dense_;
  }
  linear_fp32(me, head.output, input, logits_, rows);
  me.wait();
}

void Replica::write_answers(const Member& me, const TaskOutput& output, const Matrix& rows,
                            int32_t count) const {
  const auto& head = weights_->heads[output.task];
  const auto width = static_cast<size_t>(weights_->output_width(output.task));
  const auto outputs = static_cast<size_t>(head ? head->outputs : weights_->spec.hidden);
  const Range mine = me.share(count, kGrain);
  for (int32_t r = mine.first; r < mine.last; ++r) {
    float* const to = &output.values[number_of(r, count) * width];
    std::memcpy(to, rows.row(r), outputs * sizeof(float));
    if (outputs < width) to[outputs] = static_cast<float>(weights_->spec.layers);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Exits

/// Behind an inner layer: the answers that are certain there. Who has all of them leaves.
void Replica::run_exits(const Member& me, int32_t depth, std::span<const TaskOutput> outputs) {
  pool_all(me, depth, outputs);
  for (const TaskOutput& output : outputs) {
    const Head::Exit* exit = exit_of(output, depth);
    if (exit == nullptr) continue;
    const Matrix& pooled = poolings_[output.task] == Pooling::mean ? pooled_mean_ : pooled_cls_;
    const int32_t count = list_open(me, output);
    if (count == 0) continue;
    linear_fp32(me, exit->linear, open_rows(me, pooled, count), logits_, count);
    me.wait();
    write_certain(me, *exit, output, count);
  }
  close_up(me, outputs);
}

void Replica::write_certain(const Member& me, const Head::Exit& exit, const TaskOutput& output,
                            int32_t count) const {
  const auto width = static_cast<size_t>(weights_->output_width(output.task));
  const Range mine = me.share(count, kGrain);
  for (int32_t r = mine.first; r < mine.last; ++r) {
    const std::span logits(reinterpret_cast<const float*>(logits_.row(r)), width - 1);
    if (!is_certain(exit.rule, logits)) continue;
    float* const to = &output.values[number_of(r, count) * width];
    std::transform(logits.begin(), logits.end(), to,
                   [&](float logit) { return logit * exit.scale; });
    to[width - 1] = static_cast<float>(exit.rule.after_layer);
  }
}

/// The block without the sequences that have all of their answers. Each member moves its own
/// columns of all rows: no row that it overwrites is still to be read by another.
void Replica::close_up(const Member& me, std::span<const TaskOutput> outputs) {
  const int32_t before = packed_.sequences;
  me.wait();  // all answers are written
  if (me.is_first()) {
    const auto goes_on = [&](int32_t number) {
      return std::any_of(outputs.begin(), outputs.end(),
                         [&](const TaskOutput& output) { return !has_answer(output, number); });
    };
    packed_.close_up(goes_on, moved_from_);
  }
  me.wait();
  if (packed_.sequences == before) return;
  move_rows(me, hidden_);
  if (keeps_sums()) move_rows(me, sums_);
  me.wait();
}

void Replica::move_rows(const Member& me, const Matrix& matrix) const {
  const Range lines = me.share(static_cast<int32_t>(matrix.stride / kLineBytes));
  const auto bytes = static_cast<size_t>(lines.count() * kLineBytes);
  for (int32_t s = 0; s < packed_.sequences; ++s) {
    const int32_t to = packed_.offsets[s];
    const int32_t count = packed_.offsets[s + 1] - to;
    if (moved_from_[s] == to) continue;
    for (int32_t i = 0; i < count; ++i) {
      std::memcpy(matrix.row(to + i) + lines.first * kLineBytes,
                  matrix.row(moved_from_[s] + i) + lines.first * kLineBytes, bytes);
    }
  }
}

}  // namespace tilewise::runtime
