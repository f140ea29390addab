#include "batch/job_output.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "base/output_file.h"

namespace tilewise::batch {
namespace {

constexpr const char* kStartAnew =
    "Name another directory, or replace what is there with --overwrite";

/// Whether a job of the settings `now` may go on with what one of `before` has written.
Status check_same_job(const Settings& before, const Settings& now, bool allow_other_isa,
                      const std::string& where) {
  std::vector<std::string> differing = now.differences(before);
  if (allow_other_isa) std::erase(differing, "isa");
  if (differing.empty()) return {};
  const bool is_isa_alone = differing == std::vector<std::string>{"isa"};
  return invalid_argument(
      {.what = "the output directory holds another job: its results are not mixed with this one's",
       .where = where,
       .expected = before.describe(differing),
       .found = now.describe(differing),
       .remedy = is_isa_alone ? "Take the same instruction set with --isa, or both with "
                                "--allow-other-isa: scores differ in their last bits"
                              : kStartAnew});
}

Status input_changed(const std::string& where, std::string expected, std::string found) {
  return invalid_argument({.what = "the input has changed since this job began",
                           .where = where,
                           .expected = std::move(expected),
                           .found = std::move(found),
                           .remedy = kStartAnew});
}

std::string describe(const PartInput& input) {
  return fmt::format("{} rows with XXH3-128 {}", input.rows, input.hash);
}

Status write_whole(const std::string& path, std::string_view text) {
  TILEWISE_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path));
  TILEWISE_RETURN_IF_ERROR(file.write(text));
  return file.commit();
}

/// Whether the file is as the record says. Errors: io_error; a missing file is none.
Result<bool> is_as(const std::string& path, const std::optional<FileRecord>& record) {
  if (!record) return true;
  const auto found = record_of(path);
  if (found.status().code() == StatusCode::not_found) return false;
  if (!found.ok()) return found.status();
  return *found == *record;
}

}  // namespace

Result<JobOutput> JobOutput::open(OutputDirectory& directory, bool allow_other_isa, Manifest job,
                                  PartWriter writer, Time start) {
  TILEWISE_ASSIGN_OR_RETURN(auto earlier, read_manifest(directory.path()));
  if (!earlier) {
    JobOutput output(directory, std::move(job), std::move(writer), start);
    TILEWISE_RETURN_IF_ERROR(output.write_manifest());
    return output;
  }
  TILEWISE_RETURN_IF_ERROR(
      check_same_job(earlier->settings, job.settings, allow_other_isa, directory.manifest()));
  job.settings.add_isa_of(earlier->settings);
  job.complete = earlier->complete;
  job.inputs = std::move(earlier->inputs);
  job.seconds = earlier->seconds;
  job.parts = std::move(earlier->parts);
  TILEWISE_RETURN_IF_ERROR(directory.remove_unlisted(job));
  return JobOutput(directory, std::move(job), std::move(writer), start);
}

Result<bool> JobOutput::has(int64_t part) {
  const PartRecord* const record = manifest_.find(part);
  if (record == nullptr) return false;
  TILEWISE_ASSIGN_OR_RETURN(const bool answers, is_as(directory_->answers(part), record->answers));
  TILEWISE_ASSIGN_OR_RETURN(const bool rejections,
                            is_as(directory_->rejections(part), record->rejections));
  TILEWISE_ASSIGN_OR_RETURN(const bool scores, is_as(directory_->scores(part), record->scores));
  if (answers && rejections && scores) return true;
  log_warn(part_name(part) + " is missing or damaged and is made anew");
  return false;
}

Status JobOutput::skip(const PartInput& input, Progress& progress) {
  TILEWISE_RETURN_IF_ERROR(check_input(input));
  const PartRecord& record = *manifest_.find(input.index);
  progress.rows += record.rows;
  progress.resumed_rows += record.rows;
  progress.rejected += record.rejected;
  progress.reused += record.reused;
  add_depths(record.depths, progress.depths);
  return {};
}

Status JobOutput::write(const Chunk& chunk) {
  if (manifest_.complete || was_complete_) TILEWISE_RETURN_IF_ERROR(check_is_known(chunk.part));
  if (!has_begun_) TILEWISE_RETURN_IF_ERROR(begin());
  return writer_.write(chunk.part, chunk);
}

// A job that was complete is so no longer, until the part that was damaged is whole again.
Status JobOutput::begin() {
  has_begun_ = true;
  was_complete_ = manifest_.complete;
  if (!was_complete_) return {};
  TILEWISE_RETURN_IF_ERROR(remove_file(directory_->success()));
  manifest_.complete = false;
  manifest_.inputs.clear();
  return write_manifest();
}

Status JobOutput::end_part(const PartInput& input) {
  TILEWISE_RETURN_IF_ERROR(check_input(input));
  TILEWISE_RETURN_IF_ERROR(directory_->check_in_place());
  TILEWISE_ASSIGN_OR_RETURN(PartRecord record, writer_.commit(input.index));
  record.input = input;
  manifest_.set(std::move(record));
  return write_manifest();
}

Status JobOutput::finish(const std::vector<rows::ReadInput>& inputs, int64_t parts) {
  if (!manifest_.parts.empty() && manifest_.parts.back().input.index >= parts) {
    return input_changed(directory_->manifest(),
                         std::to_string(manifest_.parts.back().input.index + 1) + " parts",
                         std::to_string(parts));
  }
  if (!manifest_.complete) {
    manifest_.complete = true;
    manifest_.inputs = inputs;
    TILEWISE_RETURN_IF_ERROR(write_manifest());
  }
  std::error_code ignored;  // then it is written
  if (std::filesystem::exists(directory_->success(), ignored)) return {};
  return write_whole(directory_->success(), "");
}

Status JobOutput::write_manifest() {
  manifest_.seconds = seconds();
  return write_whole(directory_->manifest(), to_json(manifest_));
}

Status JobOutput::check_is_known(int64_t part) const {
  if (manifest_.find(part) != nullptr) return {};
  return input_changed(directory_->manifest(), std::to_string(manifest_.parts.size()) + " parts",
                       "more rows than they hold");
}

// Against what an earlier run has seen, before anything is mixed.
Status JobOutput::check_input(const PartInput& input) const {
  const PartRecord* const record = manifest_.find(input.index);
  if (record == nullptr || record->input == input) return {};
  return input_changed(directory_->path() + ", " + part_name(input.index), describe(record->input),
                       describe(input));
}

}  // namespace tilewise::batch
