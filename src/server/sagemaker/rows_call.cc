#include "server/sagemaker/rows_call.h"

#include <algorithm>
#include <utility>

#include "engine/head.h"
#include "rows/reader.h"
#include "rows/writer.h"

namespace tilewise::server::sagemaker {
namespace {

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// How many sequences a row becomes.
int32_t orders_of(const model::Task& task, const RowOptions& options) {
  return options.both_orders && task.input == model::InputKind::pair ? 2 : 1;
}

/// The outputs of one row and task; of both orders their mean.
std::span<const float> values_of(const engine::Request& request, size_t sequence, int32_t orders,
                                 size_t task, std::vector<float>& mean) {
  const std::span<const float> values = request.values(sequence, task);
  if (orders == 1) return values;
  const std::span<const float> other = request.values(sequence + 1, task);
  mean.resize(values.size());
  for (size_t i = 0; i < values.size(); ++i) mean[i] = (values[i] + other[i]) / 2;
  return mean;
}

void append_error(const ParsedRow& row, std::string& out) {
  out += "{\"id\":" + row.row.id + ",\"error\":";
  rows::append_json_string(row.status.message(), out);
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

void encode_rows(std::vector<ParsedRow>& rows, const RowOptions& options, engine::Request& request,
                 std::vector<bool>& truncated) {
  const model::Task& task =
      request.model->metadata().tasks[static_cast<size_t>(request.tasks.front())].task;
  const int32_t orders = orders_of(task, options);
  text::InputEncoder encoder(request.model->loaded().tokenizer());
  text::PackedTokens packed;
  truncated.clear();
  request.token_inputs.clear();
  for (ParsedRow& row : rows) {
    packed.clear();
    for (int32_t order = 0; row.status.ok() && order < orders; ++order) {
      row.status = encoder.append(task, row.row.input, packed,
                                  {.overlong = options.overlong, .swap = order == 1});
    }
    if (!row.status.ok()) continue;
    for (int32_t order = 0; order < orders; ++order) {
      const auto begin = packed.offsets[static_cast<size_t>(order)];
      const auto end = packed.offsets[static_cast<size_t>(order) + 1];
      request.token_inputs.push_back({{packed.ids.begin() + begin, packed.ids.begin() + end},
                                      {packed.types.begin() + begin, packed.types.begin() + end}});
    }
    truncated.push_back(packed.truncated.front());
  }
}

void append_rows(const std::vector<ParsedRow>& rows, const RowOptions& options,
                 const engine::Request& request, const std::vector<bool>& truncated,
                 std::string& out) {
  std::vector<const model::Task*> tasks;
  for (const int32_t task : request.tasks) {
    tasks.push_back(&request.model->metadata().tasks[static_cast<size_t>(task)].task);
  }
  const int32_t orders = orders_of(*tasks.front(), options);
  std::vector<model::Prediction> predictions(tasks.size());
  std::vector<float> mean;
  size_t answered = 0;
  for (const ParsedRow& row : rows) {
    if (!row.status.ok()) {
      append_error(row, out);
      continue;
    }
    const size_t sequence = answered * static_cast<size_t>(orders);
    for (size_t t = 0; t < tasks.size(); ++t) {
      engine::fill_prediction(*tasks[t], values_of(request, sequence, orders, t, mean),
                              {.top = options.top}, predictions[t]);
      predictions[t].truncated = truncated[answered];
    }
    rows::append_prediction(row.row.id, tasks, predictions, {.logits = options.logits}, out);
    ++answered;
  }
}

}  // namespace tilewise::server::sagemaker
