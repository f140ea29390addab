#include "batch/flow.h"

#include <string>
#include <utility>

namespace tilewise::batch {

using Wait = rows::LineReader::Wait;

Flow::Flow(engine::Engine& engine, const Question& question, PartReader reader, Sink& sink,
           const std::function<bool()>& stop, Time start)
    : reader_(std::move(reader)),
      sink_(sink),
      stop_(stop),
      chunk_rows_(kChunkRows * question.shard.count),
      start_(start),
      pipeline_(engine, question) {}

Result<Progress> Flow::run(const Observer& observer) {
  while (!no_more_input() || !pipeline_.is_empty()) {
    if (!no_more_input() && !pipeline_.is_full()) {
      TILEWISE_ASSIGN_OR_RETURN(const bool submitted, read(observer));
      if (submitted) continue;
    }
    if (!pipeline_.is_empty()) TILEWISE_RETURN_IF_ERROR(write(observer));
  }
  if (stopped_) {
    return interrupted({.what = "stopped before the end of the input",
                        .found = std::to_string(progress_.rows) + " rows done"});
  }
  if (const auto ended = reader_.take_ended()) {  // its end was seen after its last row
    TILEWISE_RETURN_IF_ERROR(end_part(*ended));
    show(observer, progress_.fraction);
  }
  return progress_;
}

bool Flow::no_more_input() {
  if (stop_ && stop_()) stopped_ = true;
  return stopped_ || reader_.at_end();
}

// Starts on what can be read; waits for input only when there is nothing else to do.
Result<bool> Flow::read(const Observer& observer) {
  TILEWISE_ASSIGN_OR_RETURN(const bool skipped, skip_parts(observer));
  if (skipped) return true;
  Chunk& chunk = pipeline_.next();
  chunk.part = reader_.part();
  TILEWISE_RETURN_IF_ERROR(
      next(chunk_rows_, chunk.input, pipeline_.is_empty() ? Wait::for_input : Wait::never));
  if (stopped_ || chunk.input.lines.empty()) return false;
  chunk.fraction = reader_.lines().fraction();
  chunk.ended = reader_.take_ended();
  pipeline_.submit();
  return true;
}

Status Flow::next(int64_t max_rows, rows::LineReader::Chunk& chunk, Wait wait) {
  const Status status = reader_.next(max_rows, chunk, wait);
  if (status.code() != StatusCode::interrupted) return status;
  stopped_ = true;
  return {};
}

// Where the next part is there already; whether it was.
Result<bool> Flow::skip_parts(const Observer& observer) {
  if (!reader_.is_at_start_of_part() || reader_.part() == asked_part_) return false;
  asked_part_ = reader_.part();
  TILEWISE_ASSIGN_OR_RETURN(const bool is_there, sink_.has(asked_part_));
  if (!is_there) return false;
  TILEWISE_RETURN_IF_ERROR(skip_part(observer));
  return true;
}

Status Flow::skip_part(const Observer& observer) {
  while (!no_more_input() && reader_.part() == asked_part_) {
    TILEWISE_RETURN_IF_ERROR(next(kChunkRows, unused_, Wait::for_input));
  }
  if (stopped_) return {};
  const auto ended = reader_.take_ended();
  if (!ended) return {};  // the input ended before the part began
  TILEWISE_RETURN_IF_ERROR(sink_.skip(*ended, progress_));
  ++progress_.parts;
  progress_.resumed_fraction = reader_.lines().fraction();
  show(observer, progress_.resumed_fraction);
  return {};
}

Status Flow::write(const Observer& observer) {
  const Chunk& chunk = pipeline_.take();
  TILEWISE_RETURN_IF_ERROR(chunk.failure);
  for (const Status& rejected : chunk.rejected) observer.on_rejected(rejected);
  TILEWISE_RETURN_IF_ERROR(sink_.write(chunk));
  progress_.rows += chunk.rows;
  progress_.rejected += static_cast<int64_t>(chunk.rejected.size());
  progress_.tokens += chunk.tokens;
  progress_.reused += chunk.reused;
  add_depths(chunk.depths, progress_.depths);
  if (chunk.ended) TILEWISE_RETURN_IF_ERROR(end_part(*chunk.ended));
  show(observer, chunk.fraction);
  return {};
}

Status Flow::end_part(const PartInput& input) {
  TILEWISE_RETURN_IF_ERROR(sink_.end_part(input));
  ++progress_.parts;
  return {};
}

void Flow::show(const Observer& observer, double fraction) {
  progress_.fraction = fraction;
  progress_.seconds = seconds_between(start_, SteadyClock().now());
  observer.on_progress(progress_);
}

}  // namespace tilewise::batch
