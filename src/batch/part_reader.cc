#include "batch/part_reader.h"

#include <algorithm>
#include <string>
#include <utility>

namespace tilewise::batch {

Status PartReader::next(int64_t max_rows, rows::LineReader::Chunk& chunk,
                        rows::LineReader::Wait wait) {
  int64_t room = std::min(max_rows, rows_per_part_ - rows_);
  if (limit_ > 0) room = std::min(room, limit_ - rows_read_);
  TILEWISE_RETURN_IF_ERROR(reader_.next(static_cast<size_t>(room), chunk, wait));
  for (const rows::LineReader::Line& line : chunk.lines) hash(line);
  rows_ += static_cast<int64_t>(chunk.lines.size());
  rows_read_ += static_cast<int64_t>(chunk.lines.size());
  if (rows_ == rows_per_part_ || (rows_ > 0 && at_end())) end_part();
  return {};
}

std::optional<PartInput> PartReader::take_ended() { return std::exchange(ended_, std::nullopt); }

// What a cell means is said by the header: it belongs to each part that has rows of its file.
void PartReader::hash(const rows::LineReader::Line& line) {
  if (line.columns != nullptr && line.columns != columns_) {
    for (const rows::CsvColumn& column : line.columns->columns) {
      hash_.append(column.name);
      hash_.append("\n");
    }
  }
  columns_ = line.columns;
  // A row without an id has the number of its line: so files that begin and lines that are passed
  // over count, too.
  const char* const file = line.position.file.data();
  const bool follows = (file_ == nullptr || file == file_) && line.position.line == next_line_;
  if (!follows) hash_.append("\x1e" + std::to_string(line.position.line) + "\n");
  file_ = file;
  next_line_ = line.position.line + 1;
  hash_.append(line.text);
  hash_.append("\n");
}

void PartReader::end_part() {
  ended_ = {.index = part_, .rows = rows_, .hash = hash_.hex()};
  ++part_;
  rows_ = 0;
  hash_.reset();
  columns_ = nullptr;
}

}  // namespace tilewise::batch
