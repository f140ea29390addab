#include "batch/job.h"

#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "batch/catalogs.h"
#include "batch/flow.h"
#include "batch/job_output.h"
#include "batch/memory.h"
#include "batch/output_directory.h"
#include "batch/part_reader.h"
#include "batch/part_writer.h"
#include "batch/previous_run.h"
#include "batch/question.h"
#include "batch/settings.h"
#include "batch/since.h"
#include "batch/sources.h"
#include "rows/inputs.h"
#include "rows/reader.h"

namespace tilewise::batch {
namespace {

using OnRejected = std::function<void(const Status&)>;
using OnProgress = std::function<void(const Progress&)>;

/// Input rows of a part at most: no sum over them overflows.
constexpr int64_t kMostRowsPerPart = 1'000'000'000;

Status check_counts(const Options& options) {
  const bool is_countable = options.rows_per_part >= 1 && options.limit >= 0 &&
                            options.rows_per_part <= kMostRowsPerPart / options.shard.count;
  if (is_countable) return {};
  return invalid_argument(
      {.what = "a job needs at least one row a part, and a limit that is not negative",
       .expected = "at most " + std::to_string(kMostRowsPerPart) + " rows a part, times shards",
       .found = std::to_string(options.rows_per_part) + " rows a part, limit " +
                std::to_string(options.limit)});
}

Status check(const Options& options) {
  const Shard& shard = options.shard;
  if (shard.count < 1 || shard.index < 0 || shard.index >= shard.count) {
    return invalid_argument(
        {.what = "there is no such shard",
         .where = "--shard",
         .expected = "I/N with I from 0 to N - 1",
         .found = std::to_string(shard.index) + "/" + std::to_string(shard.count)});
  }
  return check_counts(options);
}

Status check_pairs(const Question& question) {
  if (question.task().input == model::InputKind::pair) return {};
  return invalid_argument({.what = "catalogues serve tasks that compare two records",
                           .where = "--catalog",
                           .expected = "a task whose input is a pair",
                           .found = "task " + question.task().name,
                           .remedy = "Leave the catalogue out"});
}

std::string extension_of(const Options& options) {
  return std::string(".") + name_of(options.format.format) + suffix_of(options.compression);
}

Result<PartWriter> create_writer(const OutputDirectory& directory, const Options& options,
                                 const Question& question) {
  PartWriter::Format format{.header = "", .compression = options.compression};
  question.writer.append_header(format.header);
  if (options.write_scores) format.score_width = question.width;
  return PartWriter::create(directory, std::move(format));
}

class StreamSink final : public Sink {
 public:
  StreamSink(const Question& question, const std::function<Status(std::string_view)>& write)
      : write_(write) {
    question.writer.append_header(header_);
  }

  Status write(const Chunk& chunk) override {
    if (!header_.empty()) TILEWISE_RETURN_IF_ERROR(write_(std::exchange(header_, "")));
    return write_(chunk.output);
  }

 private:
  const std::function<Status(std::string_view)>& write_;
  std::string header_;
};

/// From the options to the end of the output, step by step.
class Job {
 public:
  Job(engine::Engine& engine, const Options& options, const Flow::Observer& observer)
      : engine_(engine), options_(options), observer_(observer) {}

  Result<Progress> run();

 private:
  Status build_catalogs(Question& question, const OutputDirectory& directory);
  Status open_previous_run(Question& question);
  Manifest describe() const;

  engine::Engine& engine_;
  const Options& options_;
  const Flow::Observer& observer_;
  std::optional<Catalogs> catalogs_;
  std::optional<Previous> previous_;
  rows::ReadLimits limits_;
  Time start_ = SteadyClock().now();
};

Result<Progress> Job::run() {
  TILEWISE_RETURN_IF_ERROR(check(options_));
  TILEWISE_ASSIGN_OR_RETURN(Question question, Question::create(engine_, options_));
  question.writes_scores = options_.write_scores;
  TILEWISE_ASSIGN_OR_RETURN(const bool has_catalogs, Catalogs::are_wanted(options_));
  if (has_catalogs) TILEWISE_RETURN_IF_ERROR(check_pairs(question));
  TILEWISE_ASSIGN_OR_RETURN(
      limits_, share_memory(options_.memory_bytes, anonymous_bytes(), engine_.replicas()));
  TILEWISE_RETURN_IF_ERROR(check_standard_input(options_));
  TILEWISE_ASSIGN_OR_RETURN(
      auto files, list_sources(options_.inputs, options_.input_format, options_.output_directory));
  TILEWISE_ASSIGN_OR_RETURN(
      rows::LineReader lines,
      rows::LineReader::open(std::move(files), options_.stop, rows::Hashing::sha256, limits_));

  TILEWISE_RETURN_IF_ERROR(open_previous_run(question));
  TILEWISE_ASSIGN_OR_RETURN(
      OutputDirectory directory,
      OutputDirectory::open(options_.output_directory, extension_of(options_)));
  TILEWISE_RETURN_IF_ERROR(directory.prepare(options_.overwrite));
  if (has_catalogs) TILEWISE_RETURN_IF_ERROR(build_catalogs(question, directory));
  TILEWISE_ASSIGN_OR_RETURN(PartWriter writer, create_writer(directory, options_, question));
  TILEWISE_ASSIGN_OR_RETURN(
      JobOutput output,
      JobOutput::open(directory, options_.allow_other_isa, describe(), std::move(writer), start_));
  if (has_catalogs) TILEWISE_RETURN_IF_ERROR(catalogs_->commit_rejections());

  PartReader parts(std::move(lines), options_.rows_per_part * options_.shard.count, options_.limit);
  Flow flow(engine_, question, std::move(parts), output, options_.stop, start_);
  TILEWISE_ASSIGN_OR_RETURN(Progress progress, flow.run(observer_));
  TILEWISE_RETURN_IF_ERROR(output.finish(flow.reader().lines().inputs(), flow.reader().part()));
  if (catalogs_) {
    progress.records = catalogs_->info().records;
    progress.rejected_records = catalogs_->info().rejected;
  }
  return progress;
}

Status Job::build_catalogs(Question& question, const OutputDirectory& directory) {
  TILEWISE_ASSIGN_OR_RETURN(
      catalogs_,
      Catalogs::build(engine_, options_, limits_, question.set, directory.rejected_records(),
                      observer_.on_rejected, observer_.on_progress));
  question.left = &catalogs_->left();
  question.right = &catalogs_->right();
  return {};
}

// Whatever the catalogues hold: scores do not depend on them but through the rows' keys.
Status Job::open_previous_run(Question& question) {
  const Settings settings = Settings::of(engine_, options_, "");
  TILEWISE_ASSIGN_OR_RETURN(previous_, open_previous(options_, settings, question.width));
  if (previous_) question.previous = &previous_->run;
  return {};
}

Manifest Job::describe() const {
  Manifest manifest;
  manifest.settings = Settings::of(engine_, options_, catalogs_ ? catalogs_->hash() : "");
  if (previous_) manifest.settings.add_isa_of(previous_->settings);  // its scores are among these
  if (catalogs_) manifest.catalogs = catalogs_->info();
  manifest.since = options_.since;
  manifest.price = options_.price;
  return manifest;
}

}  // namespace

Result<Progress> run(engine::Engine& engine, const Options& options, const OnRejected& on_rejected,
                     const OnProgress& on_progress) {
  return Job(engine, options, {on_rejected, on_progress}).run();
}

Result<Progress> stream(engine::Engine& engine, const Options& options,
                        const std::function<Status(std::string_view)>& write,
                        const OnRejected& on_rejected, const OnProgress& on_progress) {
  TILEWISE_RETURN_IF_ERROR(check(options));
  TILEWISE_ASSIGN_OR_RETURN(const Question question, Question::create(engine, options));
  TILEWISE_ASSIGN_OR_RETURN(auto files, rows::list_inputs(options.inputs, options.input_format));
  TILEWISE_ASSIGN_OR_RETURN(
      rows::LineReader lines,
      rows::LineReader::open(std::move(files), options.stop, rows::Hashing::none));
  StreamSink sink(question, write);
  PartReader parts(std::move(lines), std::numeric_limits<int64_t>::max(), options.limit);
  Flow flow(engine, question, std::move(parts), sink, options.stop, SteadyClock().now());
  return flow.run({on_rejected, on_progress});
}

}  // namespace tilewise::batch
