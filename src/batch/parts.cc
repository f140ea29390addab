#include "batch/parts.h"

#include <filesystem>
#include <system_error>
#include <vector>

#include <fmt/format.h>

namespace tilewise::batch {
namespace {

namespace fs = std::filesystem;

Status cannot(const char* what, const fs::path& path, const std::error_code& error) {
  return io_error({.what = what, .where = path.string(), .found = error.message()});
}

/// Parts, and what a job that was killed left of one.
bool is_part(const std::string& name) {
  return name.starts_with("part-") && name.find(".jsonl") != std::string::npos;
}

}  // namespace

Status prepare_directory(const std::string& directory, bool overwrite) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return cannot("cannot create the output directory", directory, error);
  std::vector<fs::path> old_parts;
  fs::directory_iterator entry(directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (!overwrite) {
      return invalid_argument(
          {.what = "the output directory is not empty",
           .where = directory,
           .expected = "an empty directory, or one that does not exist",
           .found = entry->path().filename().string(),
           .remedy = "Name another one, or replace its parts with --overwrite"});
    }
    if (is_part(entry->path().filename().string())) old_parts.push_back(entry->path());
  }
  if (error) return cannot("cannot read the output directory", directory, error);
  for (const fs::path& part : old_parts) {
    if (!fs::remove(part, error) && error) return cannot("cannot remove an old part", part, error);
  }
  return {};
}

std::string part_name(int64_t index) { return fmt::format("part-{:05}.jsonl", index); }

Status PartWriter::append(std::string_view lines, int64_t rows) {
  if (!file_) {
    TILEWISE_ASSIGN_OR_RETURN(OutputFile file,
                              OutputFile::create(directory_ + "/" + part_name(parts_)));
    file_.emplace(std::move(file));
  }
  TILEWISE_RETURN_IF_ERROR(file_->write(lines));
  rows_ += rows;
  return rows_ < rows_per_part_ ? Status() : finish();
}

Status PartWriter::finish() {
  if (!file_) return {};
  TILEWISE_RETURN_IF_ERROR(file_->commit());
  file_.reset();
  rows_ = 0;
  ++parts_;
  return {};
}

}  // namespace tilewise::batch
