#include "batch/job.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "batch/parts.h"
#include "batch/pipeline.h"
#include "rows/reader.h"

namespace tilewise::batch {
namespace {

using OnRejected = std::function<void(const Status&)>;
using OnProgress = std::function<void(Progress&)>;
using Sink = std::function<Status(const Chunk&)>;

class Job {
 public:
  Job(engine::Engine& engine, const Options& options, const Question& question,
      rows::LineReader reader)
      : options_(options), reader_(std::move(reader)), pipeline_(engine, question) {}

  /// Errors: those of the reader and of `sink`, `interrupted` once all that was begun has been
  /// written.
  Result<Progress> run(const Sink& sink, const OnRejected& on_rejected,
                       const OnProgress& on_progress) {
    while (!no_more_input() || !pipeline_.is_empty()) {
      if (!no_more_input() && !pipeline_.is_full()) {
        TILEWISE_ASSIGN_OR_RETURN(const bool submitted, read());
        if (submitted) continue;
      }
      if (pipeline_.is_empty()) continue;
      TILEWISE_RETURN_IF_ERROR(write(sink, on_rejected));
      on_progress(progress_);
    }
    if (!stopped_) return progress_;
    return interrupted({.what = "stopped before the end of the input",
                        .found = std::to_string(progress_.rows) + " rows done"});
  }

 private:
  bool no_more_input() {
    if (options_.stop && options_.stop()) stopped_ = true;
    return stopped_ || reader_.at_end() || (options_.limit > 0 && rows_read_ >= options_.limit);
  }

  // Rows that the next chunk may hold: no chunk lies in two parts.
  int64_t room() const {
    int64_t rows = options_.rows_per_part - rows_read_ % options_.rows_per_part;
    if (options_.limit > 0) rows = std::min(rows, options_.limit - rows_read_);
    return std::min(rows, kChunkRows);
  }

  // Starts on what can be read; waits for input only when there is nothing else to do.
  Result<bool> read() {
    using Wait = rows::LineReader::Wait;
    Chunk& chunk = pipeline_.next();
    const Status status = reader_.next(static_cast<size_t>(room()), chunk.input,
                                       pipeline_.is_empty() ? Wait::for_input : Wait::never);
    if (status.code() == StatusCode::interrupted) {
      stopped_ = true;
      return false;
    }
    TILEWISE_RETURN_IF_ERROR(status);
    if (chunk.input.lines.empty()) return false;
    rows_read_ += static_cast<int64_t>(chunk.input.lines.size());
    chunk.fraction = reader_.fraction();
    pipeline_.submit();
    return true;
  }

  Status write(const Sink& sink, const OnRejected& on_rejected) {
    const Chunk& chunk = pipeline_.take();
    TILEWISE_RETURN_IF_ERROR(chunk.failure);
    for (const Status& rejected : chunk.rejected) on_rejected(rejected);
    TILEWISE_RETURN_IF_ERROR(sink(chunk));
    progress_.rows += static_cast<int64_t>(chunk.input.lines.size());
    progress_.rejected += static_cast<int64_t>(chunk.rejected.size());
    progress_.tokens += chunk.tokens;
    progress_.fraction = chunk.fraction;
    progress_.seconds = seconds_between(start_, SteadyClock().now());
    return {};
  }

  const Options& options_;
  rows::LineReader reader_;
  Progress progress_;
  int64_t rows_read_ = 0;
  bool stopped_ = false;
  Time start_ = SteadyClock().now();
  Pipeline pipeline_;  // last, so that it waits for its chunks while the reader is still there
};

/// What the job does not do so far is refused, never ignored.
Status check_supported(const Options& options) {
  const bool uses_catalogs = !options.catalogs.empty() || !options.left_catalogs.empty() ||
                             !options.right_catalogs.empty();
  if (!uses_catalogs && options.shard.count == 1 && options.since.empty() &&
      !options.input_format && options.compression == rows::Compression::none) {
    return {};
  }
  return unsupported({.what = "a batch job takes no catalogues, formats, shards or previous runs",
                      .remedy = "Leave them out"});
}

Status check(const Options& options) {
  if (options.rows_per_part >= 1 && options.limit >= 0) return {};
  return invalid_argument(
      {.what = "a job needs at least one row a part, and a limit that is not negative",
       .found = std::to_string(options.rows_per_part) + " rows a part, limit " +
                std::to_string(options.limit)});
}

}  // namespace

Result<Progress> run(engine::Engine& engine, const Options& options, const OnRejected& on_rejected,
                     const std::function<void(const Progress&)>& on_progress) {
  TILEWISE_RETURN_IF_ERROR(check(options));
  TILEWISE_RETURN_IF_ERROR(check_supported(options));
  TILEWISE_ASSIGN_OR_RETURN(
      const Question question,
      Question::create(engine, options.tasks, options.predict, options.format));
  TILEWISE_ASSIGN_OR_RETURN(rows::LineReader reader,
                            rows::LineReader::open(options.inputs, options.stop));
  TILEWISE_RETURN_IF_ERROR(prepare_directory(options.output_directory, options.overwrite));

  PartWriter parts(options.output_directory, options.rows_per_part);
  Job job(engine, options, question, std::move(reader));
  TILEWISE_ASSIGN_OR_RETURN(Progress progress,
                            job.run(
                                [&](const Chunk& chunk) {
                                  return parts.append(
                                      chunk.output, static_cast<int64_t>(chunk.input.lines.size()));
                                },
                                on_rejected,
                                [&](Progress& now) {
                                  now.parts = parts.parts();
                                  on_progress(now);
                                }));
  TILEWISE_RETURN_IF_ERROR(parts.finish());
  progress.parts = parts.parts();
  on_progress(progress);
  return progress;
}

Result<Progress> stream(engine::Engine& engine, const Options& options,
                        const std::function<Status(std::string_view)>& write,
                        const OnRejected& on_rejected,
                        const std::function<void(const Progress&)>& on_progress) {
  TILEWISE_RETURN_IF_ERROR(check(options));
  TILEWISE_ASSIGN_OR_RETURN(
      const Question question,
      Question::create(engine, options.tasks, options.predict, options.format));
  TILEWISE_ASSIGN_OR_RETURN(rows::LineReader reader,
                            rows::LineReader::open(options.inputs, options.stop));
  Job job(engine, options, question, std::move(reader));
  return job.run([&](const Chunk& chunk) { return write(chunk.output); }, on_rejected, on_progress);
}

}  // namespace tilewise::batch
