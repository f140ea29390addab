#include "server/sagemaker/rows_call.h"

#include <algorithm>
#include <utility>

#include "rows/reader.h"
#include "rows/writer.h"

namespace tilewise::server::sagemaker {
namespace {

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

void append_error(const ParsedRow& row, const Status& status, std::string& out) {
  out += "{\"id\":" + row.row.id + ",\"error\":";
  rows::append_json_string(status.message(), out);
  out += "}\n";
}

}  // namespace

BodyFormat body_format(std::string_view content_type) {
  std::string type(trimmed(content_type.substr(0, content_type.find(';'))));
  std::transform(type.begin(), type.end(), type.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c; });
  for (const std::string_view name : {"application/jsonlines", "application/x-jsonlines",
                                      "application/jsonl", "application/x-ndjson"}) {
    if (type == name) return BodyFormat::json_lines;
  }
  // The second is what curl -d says where nobody has told it better.
  for (const std::string_view name :
       {"application/json", "application/x-www-form-urlencoded", ""}) {
    if (type == name) return BodyFormat::json;
  }
  return BodyFormat::other;
}

std::string_view attribute(std::string_view attributes, std::string_view name) {
  while (!attributes.empty()) {
    const std::string_view pair = attributes.substr(0, attributes.find(';'));
    attributes.remove_prefix(std::min(attributes.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && trimmed(pair.substr(0, equals)) == name) {
      return trimmed(pair.substr(equals + 1));
    }
  }
  return {};
}

ParsedRow parse_row(std::string_view body, model::InputKind kind) {
  ParsedRow parsed;
  parsed.status = rows::RowParser(kind).parse(body, {.file = "body", .line = 1}, parsed.row);
  return parsed;
}

std::vector<ParsedRow> parse_rows(std::string_view body, model::InputKind kind) {
  rows::RowParser parser(kind);
  std::vector<ParsedRow> parsed;
  for (int64_t number = 1; !body.empty(); ++number) {
    std::string_view line = body.substr(0, body.find('\n'));
    body.remove_prefix(std::min(body.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (trimmed(line).empty()) continue;
    ParsedRow& row = parsed.emplace_back();
    row.status = parser.parse(line, {.file = "body", .line = number}, row.row);
    if (!row.status.ok()) row.row.id = std::to_string(number);
  }
  return parsed;
}

void fill_inputs(const std::vector<ParsedRow>& rows, engine::Request& request) {
  request.bad_inputs_alone = true;
  for (const ParsedRow& row : rows) {
    if (row.status.ok()) request.inputs.push_back(row.row.input);
  }
}

void append_rows(const std::vector<ParsedRow>& rows, const RowOptions& options,
                 const engine::Request& request, std::string& out) {
  std::vector<const model::Task*> tasks;
  for (const int32_t task : request.tasks) {
    tasks.push_back(&request.model->metadata().tasks[static_cast<size_t>(task)].task);
  }
  std::vector<model::Prediction> predictions(tasks.size());
  size_t input = 0;  // of the row
  for (const ParsedRow& row : rows) {
    const Status& status = row.status.ok() ? request.input_statuses[input++] : row.status;
    if (!status.ok()) {
      append_error(row, status, out);
      continue;
    }
    for (size_t t = 0; t < tasks.size(); ++t) {
      request.predict(input - 1, t, {.top = options.top}, predictions[t]);
    }
    rows::append_prediction(row.row.id, tasks, predictions, {.logits = options.logits}, out);
  }
}

}  // namespace tilewise::server::sagemaker
