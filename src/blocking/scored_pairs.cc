#include "blocking/scored_pairs.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include <simdjson.h>

namespace tilewise::blocking {
namespace {

namespace fs = std::filesystem;
namespace dom = simdjson::dom;

/// Why a row was refused; nullopt: it was not. Where it stands is added at the end.
using Complaint = std::optional<Problem>;

Problem wrong_type(std::string_view field, const char* expected) {
  return {.what = "the row has a field of the wrong type",
          .where = "field \"" + std::string(field) + "\"",
          .expected = expected};
}

/// A text, or a whole number as text; null is no id.
Complaint read_id(const dom::element& value, std::string_view field,
                  std::optional<std::string>& id) {
  if (value.is_null()) return std::nullopt;
  if (value.is_string()) {
    id = std::string(value.get_string().value_unsafe());
  } else if (value.is_int64()) {
    id = std::to_string(value.get_int64().value_unsafe());
  } else if (value.is_uint64()) {
    id = std::to_string(value.get_uint64().value_unsafe());
  } else {
    return wrong_type(field, "a string or a whole number");
  }
  return std::nullopt;
}

Complaint read_answer(const dom::object& answer, ScoredRow& row) {
  for (const auto& [name, value] : answer) {
    if (name == "score") {
      double score = 0;
      if (value.get_double().get(score) != simdjson::SUCCESS) return wrong_type(name, "a number");
      row.score = score;
    } else if (name == "label") {
      if (!value.is_null() && !value.is_string()) return wrong_type(name, "a string or null");
      row.labelled = !value.is_null();
    }
  }
  return std::nullopt;
}

Complaint read_number(std::string_view name, std::string_view cell, std::optional<double>& number) {
  if (cell.empty()) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size()) return wrong_type(name, "a number");
  number = value;
  return std::nullopt;
}

bool is_part(const fs::directory_entry& entry) {
  const std::string name = entry.path().filename().string();
  return name.starts_with("part-") && name.find(".tmp-") == std::string::npos &&
         rows::format_of_file(name).has_value();
}

}  // namespace

struct ScoredRowParser::State {
  std::string task;
  dom::parser parser;

  Complaint read_json(std::string_view line, ScoredRow& row) {
    dom::object object;
    if (const auto error = parser.parse(line.data(), line.size()).get(object);
        error != simdjson::SUCCESS) {
      return Problem{.what = "the row is not valid JSON",
                     .expected = "one JSON object",
                     .found = simdjson::error_message(error)};
    }
    std::optional<std::string> id;
    for (const auto& [name, value] : object) {
      Complaint complaint;
      if (name == "id") complaint = read_id(value, name, id);
      if (name == "left_id") complaint = read_id(value, name, row.left);
      if (name == "right_id") complaint = read_id(value, name, row.right);
      if (complaint) return complaint;
    }
    row.id = id.value_or("");
    if (task.empty()) return read_answer(object, row);
    dom::object answer;
    if (object[task].get(answer) != simdjson::SUCCESS) {
      return Problem{.what = "the row lacks the answer of a task", .expected = "\"" + task + "\""};
    }
    return read_answer(answer, row);
  }

  Complaint read_csv(std::string_view line, const rows::CsvHeader& header, ScoredRow& row) const {
    const std::string prefix = task.empty() ? "" : task + ".";
    rows::CsvCells cells(line, header.delimiter);
    std::string_view cell;
    for (const rows::CsvColumn& column : header.columns) {
      if (cells.next(cell) != rows::CsvCells::Next::cell) return wrong_cells(header);
      if (column.name == "id") row.id = cell;
      if (column.name == "left_id" && !cell.empty()) row.left = cell;
      if (column.name == "right_id" && !cell.empty()) row.right = cell;
      if (column.name == prefix + "label") row.labelled = !cell.empty();
      if (column.name != prefix + "score") continue;
      if (auto complaint = read_number(column.name, cell, row.score)) return complaint;
    }
    if (cells.next(cell) != rows::CsvCells::Next::end) return wrong_cells(header);
    return std::nullopt;
  }

  static Problem wrong_cells(const rows::CsvHeader& header) {
    return {.what = "the row does not fit the header of its file",
            .expected = std::to_string(header.columns.size()) + " cells"};
  }
};

ScoredRowParser::ScoredRowParser(std::string task) : state_(std::make_unique<State>()) {
  state_->task = std::move(task);
}
ScoredRowParser::~ScoredRowParser() = default;
ScoredRowParser::ScoredRowParser(ScoredRowParser&&) noexcept = default;
ScoredRowParser& ScoredRowParser::operator=(ScoredRowParser&&) noexcept = default;

Status ScoredRowParser::parse(const rows::LineReader::Line& line, ScoredRow& row) {
  row = {};
  Complaint complaint = line.columns != nullptr ? state_->read_csv(line.text, *line.columns, row)
                                                : state_->read_json(line.text, row);
  if (!complaint && !row.score && !row.labelled) {
    complaint = Problem{.what = "the row is no answer about a pair",
                        .expected = "\"score\" and \"label\" of a binary task",
                        .remedy = "Of output of several tasks choose one with --task"};
  }
  if (!complaint) return {};
  complaint->where =
      rows::describe(line.position) + (complaint->where.empty() ? "" : ", " + complaint->where);
  return invalid_input(std::move(*complaint));
}

Status split_id(const std::string& id, ScoredPair& pair) {
  const size_t tilde = id.find('~');
  if (tilde == std::string::npos || id.find('~', tilde + 1) != std::string::npos) {
    return invalid_input({.what = "the id does not say which two records the row is about",
                          .expected = "LEFT~RIGHT, or the fields left_id and right_id",
                          .found = id.empty() ? "no id" : id,
                          .remedy = "Give the pairs that were scored with --pairs"});
  }
  pair.left = id.substr(0, tilde);
  pair.right = id.substr(tilde + 1);
  return {};
}

Result<std::vector<rows::InputFile>> list_scored(const std::string& path) {
  std::error_code error;
  std::vector<std::string> parts;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    if (is_part(*entry)) parts.push_back(entry->path().string());
  }
  if (fs::exists(fs::path(path) / "_manifest.json", error) &&
      !fs::exists(fs::path(path) / "_SUCCESS", error)) {
    return invalid_input({.what = "the job has not ended",
                          .where = path,
                          .expected = "a file _SUCCESS",
                          .remedy = "Run its command again: it goes on where it stopped"});
  }
  if (parts.empty()) return rows::list_inputs({path});
  std::sort(parts.begin(), parts.end());
  return rows::list_inputs(parts);
}

}  // namespace tilewise::blocking
