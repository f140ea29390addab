// The input of a job as the parts that its output will have.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/status.h"
#include "batch/hash.h"
#include "batch/manifest.h"
#include "rows/reader.h"

namespace tilewise::batch {

/// Reads rows so that no chunk lies in two parts, and hashes the rows of each part. Not
/// thread-safe.
class PartReader {
 public:
  /// `rows_per_part`: input rows of a part. `limit`: rows in all, 0: no limit.
  PartReader(rows::LineReader reader, int64_t rows_per_part, int64_t limit)
      : reader_(std::move(reader)), rows_per_part_(rows_per_part), limit_(limit) {}

  /// As LineReader::next(): at most `max_rows` rows of the current part. A part that has all its
  /// rows is ended by it: see take_ended().
  Status next(int64_t max_rows, rows::LineReader::Chunk& chunk, rows::LineReader::Wait wait);

  /// The part whose last row next() has just given out, once. Its rows are all that a part can
  /// have, but for the last part, which ends with the input.
  std::optional<PartInput> take_ended();

  /// The part that the next row belongs to, and whether that is its first.
  int64_t part() const { return part_; }
  bool is_at_start_of_part() const { return rows_ == 0; }

  bool at_end() const { return reader_.at_end() || (limit_ > 0 && rows_read_ >= limit_); }

  const rows::LineReader& lines() const { return reader_; }

 private:
  void hash(const rows::LineReader::Line& line);
  void end_part();

  rows::LineReader reader_;
  int64_t rows_per_part_;
  int64_t limit_;
  int64_t rows_read_ = 0;
  int64_t part_ = 0;
  int64_t rows_ = 0;  // of the part
  Hash hash_;
  const rows::CsvHeader* columns_ = nullptr;  // that the part's hash has last
  const char* file_ = nullptr;                // of the last row: its name, as the reader has it
  int64_t next_line_ = 1;                     // of a row right behind it
  std::optional<PartInput> ended_;
};

}  // namespace tilewise::batch
