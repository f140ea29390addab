// CSV as RFC 4180 has it, and the same with tabs: where records end, what the header says, cells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "rows/format.h"

namespace tilewise::rows {

/// What a column holds of a row; see RowParser.
enum class CsvRole : uint8_t {
  other,
  id,
  text,
  left,  ///< a whole side as plain text
  right,
  left_field,  ///< a field of a side's record
  right_field,
  left_id,  ///< of a record in a catalogue
  right_id,
};

struct CsvColumn {
  std::string name;
  CsvRole role = CsvRole::other;
  std::string field = {};  ///< left_field, right_field: the name without its side
};

/// The first record of a file. Constant.
struct CsvHeader {
  char delimiter = ',';
  std::vector<CsvColumn> columns = {};
  uint32_t roles = 0;  ///< bit r: a column has role r

  bool has(CsvRole role) const { return ((roles >> static_cast<int>(role)) & 1) != 0; }

  /// Errors: invalid_input for quotes that do not close and for a name that stands twice (empty
  /// names may; their columns are ignored).
  static Result<CsvHeader> parse(std::string_view record, Format format);
};

/// The cells of one record, one after the other.
class CsvCells {
 public:
  CsvCells(std::string_view record, char delimiter) : rest_(record), delimiter_(delimiter) {}

  enum class Next : uint8_t {
    cell,
    end,
    unclosed,            ///< a quote that opens a cell is not closed in this record
    text_after_closing,  ///< `"a"b`
  };

  /// Sets `cell` to the next one, without its quotes; it is valid until the next call.
  Next next(std::string_view& cell);

 private:
  Next next_quoted(std::string_view& cell);

  std::string_view rest_;
  char delimiter_;
  bool at_end_ = false;
  std::string unquoted_;  // a cell that had doubled quotes
};

char delimiter_of(Format format);

/// What is wrong with a record, for Problem::found.
const char* describe(CsvCells::Next next);

/// Finds where records end in bytes that come piece by piece. A line end in quotes belongs to its
/// cell. A record with a line end in quotes that then breaks the rules, never closes its quotes or
/// grows over `max_bytes` is taken to end with its first line: so a quote that somebody forgot to
/// close costs that line alone.
class CsvScanner {
 public:
  CsvScanner(char delimiter, size_t max_bytes) : delimiter_(delimiter), max_bytes_(max_bytes) {}

  /// `text`, never empty, begins at a record; while no end is found each call sees the bytes of the
  /// last one and more behind them. Gives the offset of the line feed that ends the record, or
  /// text.size() where that is the end of the file (`is_last`); nullopt where more bytes are
  /// needed. Then of more than max_bytes + 1 bytes the others may be dropped.
  std::optional<size_t> find_end(std::string_view text, bool is_last);

 private:
  enum class Scan : uint8_t { go_on, wait, cut, done };
  Scan scan_quoted(std::string_view text, bool is_last);
  Scan scan_plain(std::string_view text);
  size_t next_line_feed(std::string_view text);
  size_t finish(size_t end);

  char delimiter_;
  size_t max_bytes_;

  // Of the record in hand; offsets from its beginning.
  size_t scanned_ = 0;
  size_t line_feed_ = 0;  // none in [scanned_, line_feed_)
  bool in_quotes_ = false;
  bool too_long_ = false;                 // ends with the next line feed
  std::optional<size_t> first_line_end_;  // in quotes
};

}  // namespace tilewise::rows
