// JSON lines, CSV and TSV -> rows. A bad row is an error of that row only.
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
#include "rows/byte_source.h"
#include "rows/csv.h"
#include "rows/inputs.h"

namespace tilewise::rows {

/// Where a line stands, for messages and for the default id.
struct Position {
  std::string_view file;  ///< "-" for standard input
  int64_t line = 0;       ///< from 1; the first one of a record of several lines
};

/// "FILE:LINE", for messages.
std::string describe(const Position& position);

/// The longest line, or record of CSV, that is taken, in bytes.
inline constexpr size_t kMaxLineBytes = size_t{64} << 20;

/// What reading may take.
struct ReadLimits {
  size_t line_bytes = kMaxLineBytes;       ///< of the longest line that is taken
  size_t window_bytes = kMostWindowBytes;  ///< of zstd: see ByteSource
};

/// An input once it has been read to its end.
struct ReadInput {
  std::string path;    ///< "-" for standard input
  int64_t bytes = 0;   ///< as stored, compressed or not
  std::string sha256;  ///< of those bytes; empty without hashing
};

/// Reads the records of files one after the other, in chunks, with bounded memory: lines of JSON;
/// of CSV and TSV (RFC 4180) everything behind the header. Lines end with LF or CRLF; in quotes
/// they belong to their record. A byte order mark at the start of a file is passed over. gzip and
/// zstd are recognised by their first bytes. Not thread-safe.
class LineReader {
 public:
  /// Fails with not_found / io_error before anything is read. `stop`, if given, is asked before
  /// each read and while waiting for input; next() then fails with `interrupted`. Memory grows to
  /// a few times the longest line, of which limits.line_bytes are taken at most, and the window of
  /// compressed data.
  static Result<LineReader> open(std::vector<InputFile> files, std::function<bool()> stop = {},
                                 Hashing hashing = Hashing::sha256, const ReadLimits& limits = {});

  /// The files of list_inputs(), whose errors it adds.
  static Result<LineReader> open(const std::vector<std::string>& names,
                                 std::function<bool()> stop = {},
                                 Hashing hashing = Hashing::sha256);
  LineReader(LineReader&&) noexcept;
  LineReader& operator=(LineReader&&) noexcept;
  ~LineReader();

  struct Line {
    std::string_view text;               ///< without the line end; into Chunk::bytes
    Position position;                   ///< its file name lives as long as the reader
    const CsvHeader* columns = nullptr;  ///< as long as the reader; nullptr for JSON
    size_t max_bytes = kMaxLineBytes;    ///< a longer line was cut, and RowParser refuses it
  };
  struct Chunk {
    std::string bytes;
    std::vector<Line> lines;
  };
  enum class Wait { for_input, never };

  /// Fills `chunk` with up to `max_lines` lines (fewer when they are long: about 32 KB a chunk, a
  /// single longer line excepted). Empty lines are skipped but counted. Of a line over
  /// limits.line_bytes one byte more than that is given out, and RowParser refuses it. Returns what
  /// there is rather than wait for more; when there is nothing, `Wait` decides. No lines left:
  /// `chunk.lines` is empty and at_end() holds. Errors: io_error; invalid_input (compressed data
  /// that is broken, a header that cannot be read); interrupted.
  Status next(size_t max_lines, Chunk& chunk, Wait wait = Wait::for_input);

  bool at_end() const;

  /// Share of all input bytes that has been given out; negative where an input has no size (a
  /// pipe).
  double fraction() const;

  /// Those that have been read to their end, in their order: all of them at_end().
  const std::vector<ReadInput>& inputs() const;

 private:
  struct State;
  explicit LineReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Two records of catalogues, named by their ids.
struct IdPair {
  std::string left, right;  ///< as plain text: 17 and "17" are the same id
  std::string id;  ///< of the pair, JSON text ready to print; "LEFT~RIGHT" in quotes by default
};

/// A record of a catalogue.
struct CatalogRecord {
  std::string id;        ///< as plain text
  model::Record record;  ///< without the id
};

/// Parses one line. Owns the parser's memory: one a thread.
///
/// JSON: {"id"?, "text"}, or {"id"?, "left", "right"} with records or strings on each side.
/// - Fields that are not asked for are ignored, but the line must be valid JSON as a whole. A key
///   that stands twice: the last one counts, as in Python. A field that is null is a field that is
///   missing.
/// - A record is flat. Numbers keep the spelling that they have in the line, true and false become
///   those words; an array or an object inside is an error that names the field.
/// - `id`: a string or a number, kept as JSON text; the default is the line number.
/// - Invalid UTF-8 and lone surrogates ("\ud800") become U+FFFD.
///
/// CSV and TSV: columns id?, text; or id?, left, right; or id?, left.FIELD..., right.FIELD... (or
/// left_FIELD, right_FIELD). Others are ignored. An empty cell is a missing field. An id is a
/// string. A record with more or fewer cells than the header is an error.
class RowParser {
 public:
  /// Takes rows of one kind. Without it a row that has "left" or "right" is a pair, any other a
  /// text.
  explicit RowParser(std::optional<model::InputKind> kind = std::nullopt);
  ~RowParser();
  RowParser(RowParser&&) noexcept;
  RowParser& operator=(RowParser&&) noexcept;

  /// Overwrites `row`. Errors: invalid_input with file:line, field, expected and found.
  Status parse(const LineReader::Line& line, model::Row& row);

  /// The same for a line of JSON.
  Status parse(std::string_view line, const Position& position, model::Row& row);

  /// {"id"?, "left_id", "right_id"}, or columns of those names. Overwrites `pair`. Errors: as
  /// parse().
  Status parse_id_pair(const LineReader::Line& line, IdPair& pair);

  /// {"id", FIELD...}, or columns of those names: every one but `id` is a field; one that holds an
  /// array or an object counts as missing. Overwrites `record`. Errors: as parse().
  Status parse_record(const LineReader::Line& line, CatalogRecord& record);

  /// For protocols whose texts may be records: a text that is one JSON object is a record, anything
  /// else is itself. `name` stands in messages for the text. Errors: invalid_input for a record
  /// that is not flat.
  Status parse_content(std::string_view text, std::string_view name, model::Content& content);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::rows
