// JSON lines -> rows. A bad line is an error of that line only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/row.h"

namespace tilewise::rows {

/// Where a line stands, for messages and for the default id.
struct Position {
  std::string_view file;   ///< "-" for standard input
  int64_t line = 0;        ///< from 1
};

/// Parses one line: {"id"?, "text"}, or {"id"?, "left", "right"} with records or strings on each side. Numbers in a record keep
/// their spelling; other fields are ignored; invalid UTF-8 becomes U+FFFD before parsing. Owns the parser's memory: one a thread.
class RowParser {
 public:
  RowParser();
  ~RowParser();

  /// Overwrites `row`. Errors: invalid_input with file:line, field, expected and found.
  Status parse(std::string_view line, const Position& position, model::Row& row);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads lines from files one after the other, in chunks, with bounded memory.
class LineReader {
 public:
  /// Paths of files; "-" is standard input. Fails with not_found / io_error before anything is read.
  static Result<LineReader> open(std::vector<std::string> paths);
  LineReader(LineReader&&) noexcept;
  ~LineReader();

  struct Line {
    std::string_view text;  ///< without the line end; into Chunk::bytes
    Position position;
  };
  struct Chunk {
    std::string bytes;
    std::vector<Line> lines;
  };

  /// Fills `chunk` with up to `max_lines` lines (fewer when they are long: about 1 MB a chunk, a single longer line excepted; a
  /// line over 64 MB is an invalid_input error). Empty lines are skipped but counted. No lines left: `chunk.lines` is empty.
  Status next(size_t max_lines, Chunk& chunk);

 private:
  struct State;
  explicit LineReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::rows
