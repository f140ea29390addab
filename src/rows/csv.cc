#include "rows/csv.h"

#include <algorithm>
#include <set>
#include <utility>

#include "rows/repair.h"

namespace tilewise::rows {
namespace {

constexpr std::string_view kByName[] = {"id", "text", "left", "right", "left_id", "right_id"};
constexpr CsvRole kRoles[] = {CsvRole::id,    CsvRole::text,    CsvRole::left,
                              CsvRole::right, CsvRole::left_id, CsvRole::right_id};

/// "left.title" or "left_title": a field of a side.
bool take_side(std::string_view name, std::string_view side, std::string& field) {
  if (!name.starts_with(side) || name.size() < side.size() + 2) return false;
  if (name[side.size()] != '.' && name[side.size()] != '_') return false;
  field = name.substr(side.size() + 1);
  return true;
}

CsvColumn make_column(std::string_view name) {
  CsvColumn column{.name = replace_invalid_utf8(name)};
  const auto* known = std::find(std::begin(kByName), std::end(kByName), name);
  if (known != std::end(kByName)) {
    column.role = kRoles[known - std::begin(kByName)];
  } else if (take_side(column.name, "left", column.field)) {
    column.role = CsvRole::left_field;
  } else if (take_side(column.name, "right", column.field)) {
    column.role = CsvRole::right_field;
  }
  return column;
}

/// Equal for columns of which only one can be meant.
std::string meaning(const CsvColumn& column) {
  if (column.role == CsvRole::left_field) return "left." + column.field;
  if (column.role == CsvRole::right_field) return "right." + column.field;
  return column.name;
}

}  // namespace

Result<CsvHeader> CsvHeader::parse(std::string_view record, Format format) {
  CsvHeader header{.delimiter = delimiter_of(format)};
  std::set<std::string> seen;
  CsvCells cells(record, header.delimiter);
  std::string_view name;
  CsvCells::Next next;
  while ((next = cells.next(name)) == CsvCells::Next::cell) {
    const CsvColumn& column = header.columns.emplace_back(make_column(name));
    header.roles |= uint32_t{1} << static_cast<int>(column.role);
    if (column.name.empty() || seen.insert(meaning(column)).second) continue;
    return invalid_input({.what = "the header names a column twice",
                          .found = column.name,
                          .remedy = "Rename one of the two"});
  }
  if (next == CsvCells::Next::end) return header;
  return invalid_input({.what = "the header cannot be read", .found = describe(next)});
}

char delimiter_of(Format format) { return format == Format::tsv ? '\t' : ','; }

const char* describe(CsvCells::Next next) {
  switch (next) {
    case CsvCells::Next::unclosed:
      return "a quote that opens a cell and is not closed";
    case CsvCells::Next::text_after_closing:
      return "text behind the closing quote of a cell";
    default:
      return "";
  }
}

CsvCells::Next CsvCells::next(std::string_view& cell) {
  if (at_end_) return Next::end;
  if (rest_.starts_with('"')) return next_quoted(cell);
  const size_t end = rest_.find(delimiter_);
  cell = rest_.substr(0, end);
  at_end_ = end == rest_.npos;
  if (!at_end_) rest_.remove_prefix(end + 1);
  return Next::cell;
}

CsvCells::Next CsvCells::next_quoted(std::string_view& cell) {
  rest_.remove_prefix(1);
  size_t close = rest_.find('"');
  const bool has_doubled = close != rest_.npos && rest_.substr(close + 1).starts_with('"');
  if (!has_doubled) {
    cell = rest_.substr(0, close);
  } else {
    unquoted_.clear();
    while (close != rest_.npos && rest_.substr(close + 1).starts_with('"')) {
      unquoted_ += rest_.substr(0, close + 1);
      rest_.remove_prefix(close + 2);
      close = rest_.find('"');
    }
    unquoted_ += rest_.substr(0, close);
    cell = unquoted_;
  }
  if (close == rest_.npos) return Next::unclosed;
  rest_.remove_prefix(close + 1);
  at_end_ = rest_.empty();
  if (at_end_) return Next::cell;
  if (rest_.front() != delimiter_) return Next::text_after_closing;
  rest_.remove_prefix(1);
  return Next::cell;
}

std::optional<size_t> CsvScanner::find_end(std::string_view text, bool is_last) {
  Scan scan = Scan::go_on;
  while (scan == Scan::go_on && scanned_ < text.size())
    scan = in_quotes_ ? scan_quoted(text, is_last) : scan_plain(text);
  if (scan == Scan::done) return finish(scanned_);
  if (scan == Scan::cut) return finish(*first_line_end_);
  if (is_last) return finish(in_quotes_ ? first_line_end_.value_or(text.size()) : text.size());
  if (text.size() <= max_bytes_) return std::nullopt;
  if (first_line_end_) return finish(*first_line_end_);
  too_long_ = true;
  in_quotes_ = false;
  scanned_ = line_feed_ = max_bytes_ + 1;
  return std::nullopt;
}

// Up to the quote that closes the cell.
CsvScanner::Scan CsvScanner::scan_quoted(std::string_view text, bool is_last) {
  const size_t quote = std::min(text.find('"', scanned_), text.size());
  if (!first_line_end_ && next_line_feed(text) < quote) first_line_end_ = line_feed_;
  scanned_ = quote;
  if (quote == text.size()) return Scan::wait;
  const std::string_view behind = text.substr(quote + 1);
  if (behind.starts_with('"')) {
    scanned_ = quote + 2;
    return Scan::go_on;
  }
  if ((behind.empty() || behind == "\r") && !is_last) return Scan::wait;
  const bool ends_cell = behind.empty() || behind == "\r" || behind.starts_with("\r\n") ||
                         behind.front() == '\n' || behind.front() == delimiter_;
  if (first_line_end_ && !ends_cell) return Scan::cut;
  in_quotes_ = false;
  scanned_ = quote + 1;
  return Scan::go_on;
}

// Up to the end of the record or a quote that opens a cell.
CsvScanner::Scan CsvScanner::scan_plain(std::string_view text) {
  const size_t line_end = next_line_feed(text);
  const size_t quote = too_long_ ? text.npos : text.substr(0, line_end).find('"', scanned_);
  if (quote == text.npos) {
    scanned_ = line_end;
    return line_end < text.size() ? Scan::done : Scan::wait;
  }
  in_quotes_ = quote == 0 || text[quote - 1] == delimiter_;
  scanned_ = quote + 1;
  return Scan::go_on;
}

// At or behind `scanned_`; text.size(): none. Each byte is looked at once, however many cells the
// line has.
size_t CsvScanner::next_line_feed(std::string_view text) {
  line_feed_ = std::max(line_feed_, scanned_);
  if (line_feed_ < text.size() && text[line_feed_] != '\n')
    line_feed_ = std::min(text.find('\n', line_feed_), text.size());
  return line_feed_;
}

size_t CsvScanner::finish(size_t end) {
  if (end > max_bytes_ && first_line_end_) end = *first_line_end_;
  *this = CsvScanner(delimiter_, max_bytes_);
  return end;
}

}  // namespace tilewise::rows
