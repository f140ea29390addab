// The raw outputs of an earlier run, found by key.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "batch/mapped_index.h"
#include "batch/score_file.h"
#include "engine/engine.h"

namespace tilewise::batch {

/// The score files stay mapped, and the index over them is an unlinked temporary file: anonymous
/// memory does not grow with the run. Thread-safe after open().
class PreviousRun {
 public:
  struct Options {
    /// The score files of a complete run that had the same model, tasks, orders and ISA: whoever
    /// lists them has compared its manifest.
    std::vector<std::string> score_files;
    size_t width = 0;                      ///< Engine::output_width() of the tasks
    std::string temporary_directory = {};  ///< default: $TMPDIR, or /tmp
    std::function<bool()> stop = {};       ///< true ends open() as interrupted
  };

  /// Fast as long as the page cache has room for the index: 22 to 43 bytes a row. Errors: those of
  /// ScoreFile::open; invalid_input for a file of another width; io_error where the temporary
  /// directory has no room; interrupted.
  static Result<PreviousRun> open(const Options& options);

  /// The raw outputs of a row with this key; of several the first one's. Valid as long as this
  /// object.
  std::optional<std::span<const float>> find(const engine::Key& key) const;

  /// Different keys.
  uint64_t size() const { return index_.size(); }

 private:
  explicit PreviousRun(MappedIndex index) : index_(std::move(index)) {}
  Status add(ScoreFile file);
  std::pair<const ScoreFile*, uint64_t> locate(uint64_t row) const;

  std::vector<ScoreFile> files_;
  std::vector<uint64_t> ends_;  // of each file: rows up to its end
  MappedIndex index_;           // key.low -> row, counted over all files
};

}  // namespace tilewise::batch
