#include <utility>

#include "rows/csv_rows.h"
#include "rows/json_rows.h"
#include "rows/reader.h"
#include "rows/row_parts.h"

namespace tilewise::rows {
namespace {

Complaint check_length(const LineReader::Line& line) {
  if (line.text.size() <= line.max_bytes) return std::nullopt;
  return Problem{.what = "the line is too long",
                 .expected = "at most " + std::to_string(line.max_bytes) + " bytes"};
}

}  // namespace

struct RowParser::State {
  std::optional<model::InputKind> kind;
  JsonRows json;

  Complaint read_row(const LineReader::Line& line, model::Row& row);
  Status finish(Complaint complaint, const Position& position);
};

Complaint RowParser::State::read_row(const LineReader::Line& line, model::Row& row) {
  if (auto complaint = check_length(line)) return complaint;
  RowParts parts;
  const CsvHeader* columns = line.columns;
  auto complaint = columns != nullptr ? read_csv_row(line.text, *columns, kind, parts)
                                      : json.read_row(line.text, kind, parts);
  if (complaint) return complaint;
  complaint = assemble(parts, kind, row.input);
  if (complaint) {
    complaint->found = columns != nullptr ? present(*columns) : json.present();
    return complaint;
  }
  row.has_id = !parts.id.empty();
  row.id = row.has_id ? std::move(parts.id) : std::to_string(line.position.line);
  return std::nullopt;
}

Status RowParser::State::finish(Complaint complaint, const Position& position) {
  json.give_back_memory();
  if (!complaint) return {};
  complaint->where = describe(position) + (complaint->where.empty() ? "" : ", " + complaint->where);
  return invalid_input(std::move(*complaint));
}

RowParser::RowParser(std::optional<model::InputKind> kind) : state_(std::make_unique<State>()) {
  state_->kind = kind;
}
RowParser::~RowParser() = default;
RowParser::RowParser(RowParser&&) noexcept = default;
RowParser& RowParser::operator=(RowParser&&) noexcept = default;

Status RowParser::parse(const LineReader::Line& line, model::Row& row) {
  return state_->finish(state_->read_row(line, row), line.position);
}

Status RowParser::parse(std::string_view line, const Position& position, model::Row& row) {
  return parse({.text = line, .position = position}, row);
}

Status RowParser::parse_id_pair(const LineReader::Line& line, IdPair& pair) {
  Complaint complaint = check_length(line);
  if (!complaint) {
    complaint = line.columns != nullptr ? read_csv_id_pair(line.text, *line.columns, pair)
                                        : state_->json.read_id_pair(line.text, pair);
  }
  return state_->finish(std::move(complaint), line.position);
}

Status RowParser::parse_record(const LineReader::Line& line, CatalogRecord& record) {
  Complaint complaint = check_length(line);
  if (!complaint) {
    complaint = line.columns != nullptr ? read_csv_record(line.text, *line.columns, record)
                                        : state_->json.read_record(line.text, record);
  }
  return state_->finish(std::move(complaint), line.position);
}

Status RowParser::parse_content(std::string_view text, std::string_view name,
                                model::Content& content) {
  Complaint complaint = state_->json.read_content(text, name, content);
  state_->json.give_back_memory();
  return complaint ? invalid_input(std::move(*complaint)) : Status();
}

std::string describe(const Position& position) {
  const std::string_view file = position.file == "-" ? "standard input" : position.file;
  return std::string(file) + ":" + std::to_string(position.line);
}

}  // namespace tilewise::rows
