#include "batch/previous_run.h"

#include <algorithm>
#include <utility>

namespace tilewise::batch {
namespace {

Status other_width(const std::string& path, size_t expected, size_t found) {
  return invalid_input({.what = "the scores of the previous run are not those of these tasks",
                        .where = path,
                        .expected = std::to_string(expected) + " numbers a row",
                        .found = std::to_string(found),
                        .remedy = "Name a run with the same tasks, or run without --since"});
}

Status stopped() { return interrupted({.what = "stopped while the previous run was read"}); }

}  // namespace

Result<PreviousRun> PreviousRun::open(const Options& options) {
  std::vector<ScoreFile> files;
  uint64_t rows = 0;
  for (const std::string& path : options.score_files) {
    if (options.stop && options.stop()) return stopped();
    TILEWISE_ASSIGN_OR_RETURN(ScoreFile file, ScoreFile::open(path));
    if (file.width() != options.width) return other_width(path, options.width, file.width());
    rows += file.rows();
    files.push_back(std::move(file));
  }
  TILEWISE_ASSIGN_OR_RETURN(MappedIndex index,
                            MappedIndex::create(options.temporary_directory, rows));
  PreviousRun run(std::move(index));
  for (ScoreFile& file : files) {
    if (options.stop && options.stop()) return stopped();
    TILEWISE_RETURN_IF_ERROR(run.add(std::move(file)));
  }
  run.index_.expect_random_reads();
  return run;
}

Status PreviousRun::add(ScoreFile file) {
  const uint64_t first = ends_.empty() ? 0 : ends_.back();
  const uint64_t rows = file.rows();
  files_.push_back(std::move(file));
  ends_.push_back(first + rows);
  for (uint64_t row = 0; row < rows; ++row) {
    const engine::Key key = files_.back().key(row);
    if (!find(key)) TILEWISE_RETURN_IF_ERROR(index_.insert(key.low, first + row));
  }
  return {};
}

std::optional<std::span<const float>> PreviousRun::find(const engine::Key& key) const {
  const auto found = index_.find(key.low, [&](uint64_t position) {
    const auto [file, row] = locate(position);
    return file->key(row) == key;
  });
  if (!found) return std::nullopt;
  const auto [file, row] = locate(*found);
  return file->values(row);
}

std::pair<const ScoreFile*, uint64_t> PreviousRun::locate(uint64_t row) const {
  const auto end = std::upper_bound(ends_.begin(), ends_.end(), row);
  const ScoreFile& file = files_[static_cast<size_t>(end - ends_.begin())];
  return {&file, row - (*end - file.rows())};
}

}  // namespace tilewise::batch
