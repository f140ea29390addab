// Any bytes as CSV. Where records end does not depend on how the bytes come, nothing is lost
// between them, and what RowParser takes, written as CSV, is read back.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "rows/csv_writer.h"
#include "rows/reader.h"

namespace {

using namespace tilewise::rows;

/// The bytes come in pieces of `piece`; of a record that is too long they are dropped as allowed.
std::vector<std::string> split(std::string_view text, size_t piece, size_t max_bytes) {
  CsvScanner scanner(',', max_bytes);
  std::vector<std::string> records;
  std::string buffer;
  while (!text.empty() || !buffer.empty()) {
    const auto end = buffer.empty() ? std::nullopt : scanner.find_end(buffer, text.empty());
    if (end) {
      records.push_back(buffer.substr(0, std::min(*end, max_bytes + 1)));
      buffer.erase(0, *end + 1);
      continue;
    }
    if (text.empty()) std::abort();  // the end of the file ends a record
    if (buffer.size() > max_bytes + 1) buffer.resize(max_bytes + 1);
    buffer += text.substr(0, piece);
    text.remove_prefix(std::min(piece, text.size()));
  }
  return records;
}

void check_cells(std::string_view record) {
  CsvCells cells(record, ',');
  std::string_view cell;
  std::vector<std::string> read;
  while (cells.next(cell) == CsvCells::Next::cell) read.emplace_back(cell);
  std::string written;
  CsvWriter writer(',', written);
  for (const std::string& text : read) writer.cell(text);
  CsvCells again(written, ',');
  for (const std::string& text : read) {
    if (again.next(cell) != CsvCells::Next::cell || cell != text) std::abort();
  }
}

void check_rows(std::string_view first, const std::vector<std::string>& records) {
  const auto header = CsvHeader::parse(first, Format::csv);
  if (!header.ok()) return;
  static RowParser any, texts(tilewise::model::InputKind::text),
      pairs(tilewise::model::InputKind::pair);
  for (const std::string& record : records) {
    const LineReader::Line line{
        .text = record, .position = {"fuzz", 1}, .columns = &header.value()};
    tilewise::model::Row row;
    IdPair pair;
    CatalogRecord entry;
    for (RowParser* parser : {&any, &texts, &pairs}) (void)parser->parse(line, row).ok();
    if (any.parse_id_pair(line, pair).ok() && (pair.left.empty() || pair.right.empty()))
      std::abort();
    if (any.parse_record(line, entry).ok() && entry.id.empty()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kNoLimit = size_t{1} << 40;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto records = split(text, kNoLimit, kNoLimit);
  if (split(text, 1, kNoLimit) != records) std::abort();
  if (split(text, 3, 16) != split(text, kNoLimit, 16)) std::abort();
  std::string joined;
  for (const std::string& record : records) joined += record + "\n";
  if (joined != text && joined != std::string(text) + "\n") std::abort();
  for (const std::string& record : records) check_cells(record);
  if (!records.empty()) check_rows(records.front(), records);
  return 0;
}
