// JSON lines -> rows. A bad line is an error of that line only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/row.h"
#include "model/task.h"

namespace tilewise::rows {

/// Where a line stands, for messages and for the default id.
struct Position {
  std::string_view file;  ///< "-" for standard input
  int64_t line = 0;       ///< from 1
};

/// The longest line that is taken, in bytes.
inline constexpr size_t kMaxLineBytes = size_t{64} << 20;

/// Parses one line: {"id"?, "text"}, or {"id"?, "left", "right"} with records or strings on each
/// side. Owns the parser's memory: one a thread.
///
/// - Fields that are not asked for are ignored, but the line must be valid JSON as a whole. A key
/// that stands twice: the
///   last one counts, as in Python. A field that is null is a field that is missing.
/// - A record is flat. Numbers keep the spelling that they have in the line, true and false become
/// those words; an array or
///   an object inside is an error that names the field.
/// - `id`: a string or a number, kept as JSON text; the default is the line number.
/// - Invalid UTF-8 and lone surrogates ("\ud800") become U+FFFD.
class RowParser {
 public:
  /// Takes rows of one kind. Without it a row that has "left" or "right" is a pair, any other a
  /// text.
  explicit RowParser(std::optional<model::InputKind> kind = std::nullopt);
  ~RowParser();
  RowParser(RowParser&&) noexcept;
  RowParser& operator=(RowParser&&) noexcept;

  /// Overwrites `row`. Errors: invalid_input with file:line, field, expected and found.
  Status parse(std::string_view line, const Position& position, model::Row& row);

  /// For protocols whose texts may be records: a text that is one JSON object is a record, anything
  /// else is itself. `name` stands in messages for the text. Errors: invalid_input for a record
  /// that is not flat.
  Status parse_content(std::string_view text, std::string_view name, model::Content& content);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// "FILE:LINE", for messages.
std::string describe(const Position& position);

/// Reads lines from files one after the other, in chunks, with bounded memory. Lines end with LF or
/// CRLF; a byte order mark at the start of a file is passed over. Not thread-safe.
class LineReader {
 public:
  /// Paths of files; "-" is standard input. Fails with not_found / io_error / invalid_input (a
  /// directory) before anything is read. `stop`, if given, is asked before each read and while
  /// waiting for input; next() then fails with `interrupted`.
  static Result<LineReader> open(std::vector<std::string> paths, std::function<bool()> stop = {});
  LineReader(LineReader&&) noexcept;
  LineReader& operator=(LineReader&&) noexcept;
  ~LineReader();

  struct Line {
    std::string_view text;  ///< without the line end; into Chunk::bytes
    Position position;      ///< its file name lives as long as the reader
  };
  struct Chunk {
    std::string bytes;
    std::vector<Line> lines;
  };
  enum class Wait { for_input, never };

  /// Fills `chunk` with up to `max_lines` lines (fewer when they are long: about 32 KB a chunk, a
  /// single longer line excepted). Empty lines are skipped but counted. Of a line over
  /// kMaxLineBytes only a little more than that is kept, and RowParser refuses it. Returns what
  /// there is rather than wait for more; when there is nothing, `Wait` decides. No lines left:
  /// `chunk.lines` is empty and at_end() holds. Errors: io_error, unsupported (a compressed file),
  /// interrupted.
  Status next(size_t max_lines, Chunk& chunk, Wait wait = Wait::for_input);

  bool at_end() const;

  /// Share of all input bytes that has been given out; negative where an input has no size (a
  /// pipe).
  double fraction() const;

 private:
  struct State;
  explicit LineReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::rows
