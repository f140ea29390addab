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
  std::string field;  ///< left_field, right_field: the name without its side
};

/// The first record of a file. Constant.
struct CsvHeader {
  char delimiter = ',';
  std::vector<CsvColumn> columns;

  bool has(CsvRole role) const;

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

/// Finds where records end in bytes that come piece by piece. A line end in quotes belongs to its
/// cell. A record that breaks the rules for quotes after a line end in it (also one over
/// `max_bytes`) is taken to end with its first line: so a quote that somebody forgot to close costs
/// that line alone.
class CsvScanner {
 public:
  CsvScanner(char delimiter, size_t max_bytes) : delimiter_(delimiter), max_bytes_(max_bytes) {}

  /// `text` begins at a record and continues what the last call saw when that found no end. Gives
  /// the offset of the line feed that ends the record, or of the end of `text` where that is the
  /// end of the file; nullopt where more bytes are needed.
  std::optional<size_t> find_end(std::string_view text, bool is_last);

 private:
  std::optional<size_t> found(size_t end);

  char delimiter_;
  size_t max_bytes_;
  size_t scanned_ = 0;  // into the record
  bool in_quotes_ = false;
  std::optional<size_t> first_line_end_;
};

}  // namespace tilewise::rows
