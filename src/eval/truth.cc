#include "eval/truth.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <simdjson.h>

#include "rows/csv.h"

namespace tilewise::eval {
namespace {

using Complaint = std::optional<Problem>;

/// A label as it stands in the row: a word, or several.
struct Words {
  std::vector<std::string> words = {};
  bool is_array = false;
  bool is_null = false;
};

Problem unreadable(std::string what, std::string found) {
  return {.what = std::move(what), .found = std::move(found)};
}

/// A string as it is, anything else as it is spelled.
std::string spelling(const simdjson::dom::element& value) {
  std::string_view text;
  return value.get(text) == simdjson::SUCCESS ? std::string(text) : simdjson::minify(value);
}

Words words_of(const simdjson::dom::element& value) {
  Words found;
  simdjson::dom::array items;
  if (value.get(items) == simdjson::SUCCESS) {
    found.is_array = true;
    for (const simdjson::dom::element item : items) found.words.push_back(spelling(item));
  } else if (value.is_null()) {
    found.is_null = true;
  } else {
    found.words.push_back(spelling(value));
  }
  return found;
}

std::string in_quotes(const std::string& word) { return "\"" + word + "\""; }

std::string names_of(const std::vector<std::string>& labels) {
  constexpr size_t kNamed = 5;
  std::string names;
  for (size_t i = 0; i < std::min(labels.size(), kNamed); ++i) {
    names += (i > 0 ? ", " : "") + in_quotes(labels[i]);
  }
  if (labels.size() > kNamed) names += ", ... (" + std::to_string(labels.size()) + " labels)";
  return names;
}

std::string describe(const Words& words) {
  if (words.is_null) return "null";
  std::string text;
  for (const std::string& word : words.words) text += (text.empty() ? "" : ", ") + in_quotes(word);
  return words.is_array ? "[" + text + "]" : text;
}

}  // namespace

struct TruthParser::State {
  State(const model::Task& its_task, Options its_options)
      : task(its_task), options(std::move(its_options)) {
    for (size_t i = 0; i < task.labels.size(); ++i) {
      indices.emplace(task.labels[i], static_cast<int32_t>(i));
    }
  }

  Complaint read(const rows::LineReader::Line& line, Words& words);
  Complaint read_json(std::string_view text, Words& words);
  Complaint read_cell(std::string_view record, const rows::CsvHeader& columns, Words& words);
  Complaint judge(const Words& words, Truth& truth) const;
  Complaint find(const std::string& word, int32_t& label) const;
  Problem wrong(std::string expected, const Words& words) const {
    return {.what = "the label does not fit the task",
            .where = options.field,
            .expected = std::move(expected),
            .found = describe(words)};
  }

  const model::Task& task;
  Options options;
  std::unordered_map<std::string, int32_t> indices;
  simdjson::dom::parser parser;
};

Complaint TruthParser::State::read_json(std::string_view text, Words& words) {
  simdjson::dom::element row;
  if (const auto error = parser.parse(text.data(), text.size()).get(row)) {
    return unreadable("the line is not valid JSON", simdjson::error_message(error));
  }
  simdjson::dom::element value;
  if (row[options.field].get(value) != simdjson::SUCCESS) {
    return Problem{.what = "the row has no label", .where = options.field};
  }
  words = words_of(value);
  return std::nullopt;
}

Complaint TruthParser::State::read_cell(std::string_view record, const rows::CsvHeader& columns,
                                        Words& words) {
  rows::CsvCells cells(record, columns.delimiter);
  std::string_view cell;
  for (const rows::CsvColumn& column : columns.columns) {
    const auto next = cells.next(cell);
    if (next != rows::CsvCells::Next::cell) {
      return unreadable("the record cannot be read", rows::describe(next));
    }
    if (column.name != options.field) continue;
    if (cell.starts_with('[')) {
      simdjson::dom::element array;
      if (parser.parse(cell.data(), cell.size()).get(array) == simdjson::SUCCESS) {
        words = words_of(array);
        return std::nullopt;
      }
    }
    if (cell.empty()) return Problem{.what = "the row has no label", .where = options.field};
    words = Words{.words = {std::string(cell)}};
    return std::nullopt;
  }
  return Problem{.what = "the file has no column for the label", .where = options.field};
}

Complaint TruthParser::State::read(const rows::LineReader::Line& line, Words& words) {
  return line.columns != nullptr ? read_cell(line.text, *line.columns, words)
                                 : read_json(line.text, words);
}

Complaint TruthParser::State::find(const std::string& word, int32_t& label) const {
  const auto found = indices.find(word);
  if (found == indices.end()) return wrong(names_of(task.labels), {.words = {word}});
  label = found->second;
  return std::nullopt;
}

Complaint TruthParser::State::judge(const Words& words, Truth& truth) const {
  const std::string word = words.words.size() == 1 && !words.is_array ? words.words[0] : "";
  switch (task.kind) {
    case model::TaskKind::binary: {
      const bool is_label = !task.labels.empty() && word == task.labels[0];
      truth.positive = word == "1" || word == "true" || is_label;
      if (truth.positive || words.is_null || word == "0" || word == "false") return std::nullopt;
      return wrong("0, 1, true, false, null or " + names_of(task.labels), words);
    }
    case model::TaskKind::multiclass: {
      if (words.is_array) return wrong("one label", words);
      const bool names_none = word == options.out_of_scope && !indices.contains(word);
      truth.label = -1;
      return words.is_null || names_none ? std::nullopt : find(word, truth.label);
    }
    case model::TaskKind::multilabel:
      truth.labels.clear();
      if (!words.is_array) return wrong("an array of labels", words);
      for (const std::string& each : words.words) {
        if (auto complaint = find(each, truth.labels.emplace_back())) return complaint;
      }
      std::sort(truth.labels.begin(), truth.labels.end());
      truth.labels.erase(std::unique(truth.labels.begin(), truth.labels.end()), truth.labels.end());
      return std::nullopt;
    case model::TaskKind::regression: {
      const char* end = word.data() + word.size();
      const auto read = std::from_chars(word.data(), end, truth.value);
      if (read.ec == std::errc() && read.ptr == end && std::isfinite(truth.value)) {
        return std::nullopt;
      }
      return wrong("a number", words);
    }
    case model::TaskKind::embedding:
      break;
  }
  return wrong("a task with labels", words);
}

Result<TruthParser> TruthParser::create(const model::Task& task, Options options) {
  if (task.kind == model::TaskKind::embedding) {
    return invalid_argument({.what = "an embedding has no right answer to compare with",
                             .where = "task " + task.name,
                             .expected = "binary, multiclass, multilabel or regression",
                             .found = model::name_of(task.kind)});
  }
  return TruthParser(std::make_unique<State>(task, std::move(options)));
}

TruthParser::TruthParser(std::unique_ptr<State> state) : state_(std::move(state)) {}
TruthParser::TruthParser(TruthParser&&) noexcept = default;
TruthParser& TruthParser::operator=(TruthParser&&) noexcept = default;
TruthParser::~TruthParser() = default;

Status TruthParser::parse(const rows::LineReader::Line& line, Truth& truth) {
  Words words;
  Complaint complaint = state_->read(line, words);
  if (!complaint) complaint = state_->judge(words, truth);
  if (!complaint) return {};
  const std::string field = complaint->where.empty() ? "" : ", " + complaint->where;
  complaint->where = rows::describe(line.position) + field;
  return invalid_input(std::move(*complaint));
}

}  // namespace tilewise::eval
