#include "rows/csv_rows.h"

#include <string>
#include <utility>

#include <simdjson.h>

#include "rows/repair.h"
#include "rows/writer.h"

namespace tilewise::rows {
namespace {

Complaint wrong_cell_count(const CsvHeader& header, size_t found) {
  return Problem{.what = "the row has another number of cells than the header",
                 .expected = std::to_string(header.columns.size()),
                 .found = std::to_string(found)};
}

/// Calls `use(column, cell)` for each cell that is not empty.
template <class Use>
Complaint for_each_cell(std::string_view record, const CsvHeader& header, Use use) {
  std::string repaired;
  if (!simdjson::validate_utf8(record.data(), record.size())) {
    repaired = replace_invalid_utf8(record);
    record = repaired;
  }
  CsvCells cells(record, header.delimiter);
  std::string_view cell;
  CsvCells::Next next;
  size_t count = 0;
  while ((next = cells.next(cell)) == CsvCells::Next::cell) {
    if (count < header.columns.size() && !cell.empty()) use(header.columns[count], cell);
    ++count;
  }
  if (next != CsvCells::Next::end)
    return Problem{.what = "the quotes of the row do not match", .found = describe(next)};
  if (count != header.columns.size()) return wrong_cell_count(header, count);
  return std::nullopt;
}

std::string column_names(const CsvHeader& header) {
  NameList names;
  for (const CsvColumn& column : header.columns) names.add(column.name);
  return names.text();
}

model::Record& record_of(std::optional<model::Content>& side) {
  return std::get<model::Record>(*side);
}

/// A side that has columns for its fields is a record, also where all its cells are empty.
Complaint open_side(const CsvHeader& header, CsvRole whole, CsvRole field,
                    std::optional<model::Content>& side) {
  if (!header.has(field)) return std::nullopt;
  if (header.has(whole)) {
    const std::string name = whole == CsvRole::left ? "left" : "right";
    return Problem{.what = "a side stands in the columns twice",
                   .expected = "\"" + name + "\", or \"" + name + ".FIELD\"",
                   .found = column_names(header)};
  }
  side = model::Record{};
  return std::nullopt;
}

Complaint open_sides(const CsvHeader& header, RowParts& parts) {
  if (auto complaint = open_side(header, CsvRole::left, CsvRole::left_field, parts.left))
    return complaint;
  return open_side(header, CsvRole::right, CsvRole::right_field, parts.right);
}

bool has_sides(const CsvHeader& header) {
  return (header.has(CsvRole::left) || header.has(CsvRole::left_field)) &&
         (header.has(CsvRole::right) || header.has(CsvRole::right_field));
}

}  // namespace

std::string present(const CsvHeader& header) {
  return "the columns " + column_names(header) + ", where an empty cell does not count";
}

Complaint read_csv_row(std::string_view record, const CsvHeader& header,
                       std::optional<model::InputKind> kind, RowParts& parts) {
  const bool pair = kind ? *kind == model::InputKind::pair : has_sides(header);
  if (pair) {
    if (auto complaint = open_sides(header, parts)) return complaint;
  }
  return for_each_cell(record, header, [&](const CsvColumn& column, std::string_view cell) {
    switch (column.role) {
      case CsvRole::id:
        append_json_string(cell, parts.id);
        break;
      case CsvRole::text:
        if (!pair) parts.text = std::string(cell);
        break;
      case CsvRole::left:
        if (pair) parts.left = std::string(cell);
        break;
      case CsvRole::right:
        if (pair) parts.right = std::string(cell);
        break;
      case CsvRole::left_field:
        if (pair) record_of(parts.left).fields.push_back({column.field, std::string(cell)});
        break;
      case CsvRole::right_field:
        if (pair) record_of(parts.right).fields.push_back({column.field, std::string(cell)});
        break;
      default:
        break;
    }
  });
}

Complaint read_csv_id_pair(std::string_view record, const CsvHeader& header, IdPair& pair) {
  pair.left.clear();
  pair.right.clear();
  pair.id.clear();
  auto complaint =
      for_each_cell(record, header, [&](const CsvColumn& column, std::string_view cell) {
        if (column.role == CsvRole::left_id) pair.left = cell;
        if (column.role == CsvRole::right_id) pair.right = cell;
        if (column.role == CsvRole::id) append_json_string(cell, pair.id);
      });
  if (complaint) return complaint;
  if (pair.left.empty()) return missing_field("left_id", present(header));
  if (pair.right.empty()) return missing_field("right_id", present(header));
  if (pair.id.empty()) set_default_id(pair);
  return std::nullopt;
}

Complaint read_csv_record(std::string_view record, const CsvHeader& header, CatalogRecord& entry) {
  entry.id.clear();
  entry.record.fields.clear();
  auto complaint =
      for_each_cell(record, header, [&](const CsvColumn& column, std::string_view cell) {
        if (column.role == CsvRole::id) {
          entry.id = cell;
        } else if (!column.name.empty()) {
          entry.record.fields.push_back({column.name, std::string(cell)});
        }
      });
  if (complaint) return complaint;
  if (entry.id.empty()) return missing_field("id", present(header));
  return std::nullopt;
}

}  // namespace tilewise::rows
