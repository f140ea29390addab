#include "cli/bench_requests.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "rows/json_writer.h"
#include "rows/reader.h"

namespace tilewise::cli {
namespace {

/// Plain text as it is, a record as a JSON object.
std::string content_text(const model::Content& content) {
  if (const auto* text = std::get_if<std::string>(&content)) return *text;
  rows::JsonWriter json;
  json.begin_object();
  for (const auto& field : std::get<model::Record>(content).fields) {
    json.key(field.name).string(field.value);
  }
  json.end_object();
  return json.text();
}

void write_tensor(const char* name, const model::Content& content, rows::JsonWriter& json) {
  json.begin_object().key("name").string(name).key("shape").begin_array().integer(1).end_array();
  json.key("datatype").string("BYTES").key("data").begin_array();
  json.string(content_text(content)).end_array().end_object();
}

std::string body_of(const RequestForm& form, const model::Input& input, bool truncate) {
  rows::JsonWriter json;
  json.begin_object();
  if (truncate || form.both_orders || form.full_depth) {
    json.key("parameters").begin_object();
    if (truncate) json.key("truncate").boolean(true);
    if (form.both_orders) json.key("both_orders").boolean(true);
    if (form.full_depth) json.key("full_depth").boolean(true);
    json.end_object();
  }
  json.key("inputs").begin_array();
  if (const auto* pair = std::get_if<model::PairInput>(&input)) {
    write_tensor("left", pair->left, json);
    write_tensor("right", pair->right, json);
  } else {
    write_tensor("text", std::get<model::TextInput>(input).text, json);
  }
  json.end_array();
  json.key("outputs").begin_array().begin_object().key("name").string(form.output);
  json.end_object().end_array().end_object();
  return json.text();
}

/// The values of one output tensor.
simdjson::error_code read_tensor(simdjson::dom::element tensor, Answer& answer) {
  simdjson::dom::array data;
  if (const auto error = tensor["data"].get(data)) return error;
  for (const simdjson::dom::element value : data) {
    std::string_view text;
    double number = 0;
    if (value.get(text) == simdjson::SUCCESS) {
      answer.texts.emplace_back(text);
    } else if (const auto error = value.get(number)) {
      return error;
    } else {
      answer.numbers.push_back(static_cast<float>(number));
    }
  }
  return simdjson::SUCCESS;
}

Status wrong_answer(const std::string& expected, const std::string& found) {
  return io_error({.what = "the server does not answer as it should",
                   .where = "the answer to the first requests",
                   .expected = expected,
                   .found = found});
}

}  // namespace

std::string output_for(const model::Task& task) {
  switch (task.kind) {
    case model::TaskKind::multiclass:
      return "label";
    case model::TaskKind::binary:
      return "scores";
    case model::TaskKind::embedding:
      return "embedding";
    case model::TaskKind::multilabel:
    case model::TaskKind::regression:
      break;
  }
  return "logits";
}

std::string output_for(const model::Input& input) {
  return std::holds_alternative<model::PairInput>(input) ? "scores" : "label";
}

client::PreparedRequest make_request(const RequestForm& form, const model::Input& input,
                                     bool truncate) {
  const std::string body = body_of(form, input, truncate);
  const std::string base = form.url.path == "/" ? "" : form.url.path;
  std::string head = fmt::format(
      "POST {}/v2/models/{}/infer HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/json\r\n",
      base, form.model, form.url.host, form.url.port);
  if (form.deadline_ms > 0) head += fmt::format("x-deadline-ms: {}\r\n", form.deadline_ms);
  return {fmt::format("{}Content-Length: {}\r\n\r\n{}", head, body.size(), body)};
}

Answer expected_answer(const model::Task& task, const model::Prediction& prediction) {
  Answer answer;
  switch (task.kind) {
    case model::TaskKind::multiclass:
      answer.texts.push_back(prediction.out_of_scope ? ""
                                                     : task.labels[prediction.labels[0].label]);
      break;
    case model::TaskKind::binary:
      answer.numbers.push_back(prediction.score);
      break;
    case model::TaskKind::embedding:
      answer.numbers.assign(prediction.embedding.begin(), prediction.embedding.end());
      break;
    case model::TaskKind::multilabel:
    case model::TaskKind::regression:
      answer.numbers.assign(prediction.logits.begin(), prediction.logits.end());
  }
  return answer;
}

Result<Answer> read_answer(const client::Response& response, const std::string& output) {
  if (response.status != 200) {
    return wrong_answer(
        "status 200", fmt::format("status {}: {}", response.status, response.body.substr(0, 500)));
  }
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  simdjson::dom::array tensors;
  if (parser.parse(response.body).get(document) != simdjson::SUCCESS ||
      document["outputs"].get(tensors) != simdjson::SUCCESS) {
    return wrong_answer("KServe v2 JSON with outputs", response.body.substr(0, 500));
  }
  for (const simdjson::dom::element tensor : tensors) {
    std::string_view name;
    Answer answer;
    if (tensor["name"].get(name) != simdjson::SUCCESS || name != output) continue;
    if (read_tensor(tensor, answer) == simdjson::SUCCESS) return answer;
  }
  return wrong_answer("an output \"" + output + "\" with data", response.body.substr(0, 500));
}

bool agree(const Answer& one, const Answer& other, double tolerance) {
  return one.texts == other.texts &&
         std::equal(one.numbers.begin(), one.numbers.end(), other.numbers.begin(),
                    other.numbers.end(),
                    [&](float a, float b) { return std::abs(double{a} - b) <= tolerance; });
}

std::string describe(const Answer& answer) {
  constexpr size_t kMost = 3;
  if (!answer.texts.empty()) return "\"" + answer.texts.front() + "\"";
  std::string text;
  for (size_t i = 0; i < std::min(kMost, answer.numbers.size()); ++i) {
    text += fmt::format("{}{:.9g}", i == 0 ? "" : ", ", answer.numbers[i]);
  }
  return answer.numbers.size() > kMost ? text + ", ..." : text;
}

std::vector<size_t> shuffled(size_t count, uint64_t seed) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::mt19937_64 random(seed);
  // std::shuffle differs from library to library.
  for (size_t i = count; i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  return order;
}

Result<std::vector<model::Input>> read_inputs(const std::vector<std::string>& paths,
                                              int64_t limit) {
  constexpr size_t kRowsAtATime = 256;
  TILEWISE_ASSIGN_OR_RETURN(rows::LineReader reader,
                            rows::LineReader::open(paths, {}, rows::Hashing::none));
  rows::RowParser parser;
  rows::LineReader::Chunk chunk;
  std::vector<model::Input> inputs;
  const auto is_full = [&] { return limit > 0 && std::ssize(inputs) >= limit; };
  while (!reader.at_end() && !is_full()) {
    TILEWISE_RETURN_IF_ERROR(reader.next(kRowsAtATime, chunk));
    for (const auto& line : chunk.lines) {
      if (is_full()) break;
      model::Row row;
      TILEWISE_RETURN_IF_ERROR(parser.parse(line, row));
      if (!inputs.empty() && inputs.front().index() != row.input.index()) {
        return invalid_input(
            {.what = "texts and pairs cannot be mixed", .where = rows::describe(line.position)});
      }
      inputs.push_back(std::move(row.input));
    }
  }
  if (!inputs.empty()) return inputs;
  return invalid_input({.what = "there is no row to measure with", .where = paths.front()});
}

}  // namespace tilewise::cli
