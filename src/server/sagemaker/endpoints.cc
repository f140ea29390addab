// What SageMaker asks of a container: GET /ping and POST /invocations.
// https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
#include <charconv>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/exchange.h"
#include "server/sagemaker/rows_call.h"
#include "server/tei/any.h"
#include "server/tei/error.h"
#include "server/tei/fill.h"

namespace tilewise::server {
namespace sagemaker {
namespace {

using Awaitable = boost::asio::awaitable<void>;

Status unknown_value(std::string_view name, std::string_view expected, std::string_view found) {
  return invalid_argument({.what = "A parameter has a value that it cannot have",
                           .where = std::string(name),
                           .expected = std::string(expected),
                           .found = "\"" + std::string(found) + "\""});
}

Status read_flag(const Exchange& exchange, std::string_view name, bool& flag) {
  const std::string text = parameter(exchange, name);
  if (text.empty()) return {};
  flag = text == "true" || text == "1";
  return flag || text == "false" || text == "0" ? Status()
                                                : unknown_value(name, "true or false", text);
}

Status read_options(Exchange& exchange, RowOptions& options) {
  bool truncate = exchange.app.settings.auto_truncate;
  TILEWISE_RETURN_IF_ERROR(read_flag(exchange, "logits", options.logits));
  TILEWISE_RETURN_IF_ERROR(read_flag(exchange, "both_orders", exchange.query.both_orders));
  TILEWISE_RETURN_IF_ERROR(read_flag(exchange, "truncate", truncate));
  exchange.query.full_depth = exchange.app.settings.full_depth;
  TILEWISE_RETURN_IF_ERROR(read_flag(exchange, "full_depth", exchange.query.full_depth));
  set_overlong(exchange, truncate, false);
  const std::string top = parameter(exchange, "top");
  if (top.empty()) return {};
  const auto [end, error] = std::from_chars(top.data(), top.data() + top.size(), options.top);
  if (error != std::errc() || end != top.data() + top.size() || options.top < 0) {
    return unknown_value("top", "a number of labels, 0 for all", top);
  }
  return {};
}

/// What stands for a body: lines, or one row with what was seen of it.
struct Rows {
  RowOptions options;
  std::vector<ParsedRow> rows;
};

/// The tasks of the query: those that are named, the default one, or the only one.
Status choose_tasks_of_rows(Exchange& exchange, const std::string& named,
                            std::optional<model::InputKind> input) {
  const std::string asked = named.empty() ? parameter(exchange, "task") : named;
  if (asked.find(',') == std::string::npos) {
    return choose(exchange, asked, {Purpose::anything, input});
  }
  TILEWISE_ASSIGN_OR_RETURN(const engine::Repository* repository, exchange.app.models());
  TILEWISE_ASSIGN_OR_RETURN(engine::Target target, choose_tasks(*repository, asked));
  aim(exchange, std::move(target));
  return {};
}

/// Body -> rows -> query. `shape`: of a body that is one row; null: lines.
Status fill(Exchange& exchange, const tei::Shape* shape, Rows& rows) {
  TILEWISE_RETURN_IF_ERROR(read_options(exchange, rows.options));
  TILEWISE_RETURN_IF_ERROR(choose_tasks_of_rows(exchange, shape ? shape->task : std::string(),
                                                shape ? shape->input : std::nullopt));
  engine::Request& query = exchange.query;
  const model::Task& task =
      query.model->metadata().tasks[static_cast<size_t>(query.tasks.front())].task;
  const std::string_view body = exchange.request.body;
  if (shape) {
    rows.rows.push_back(parse_row(body, task.input));
  } else {
    rows.rows = parse_rows(body, task.input);
  }
  TILEWISE_RETURN_IF_ERROR(check_batch(exchange, rows.rows.size()));
  fill_inputs(rows.rows, query);
  return shape ? rows.rows.front().status : Status();
}

Awaitable answer_rows(Exchange& exchange, const tei::Shape* shape) {
  Rows rows;
  engine::Request& query = exchange.query;
  query.status = fill(exchange, shape, rows);
  if (query.status.ok() && rows.rows.empty()) {
    query.status = invalid_argument({.what = "There are no rows"});
    co_return tei::write_empty_error("rows", exchange.response);
  }
  if (query.status.ok() && !query.inputs.empty()) co_await exchange.answer();
  if (query.status.ok() && shape) query.status = query.input_statuses.front();
  if (query.status.ok()) {
    append_rows(rows.rows, rows.options, query, exchange.response.body);
    if (shape) {
      exchange.response.body.pop_back();  // the end of a line
    } else {
      exchange.response.content_type = "application/jsonlines";
    }
  }
}

/// A row is one JSON object, whatever white space is in it; the rest is TEI's.
Awaitable answer_json(Exchange& exchange) {
  tei::Shape shape;
  Status& status = exchange.query.status;
  status = tei::look_at(exchange.request.body, memory_of(exchange).reader, shape);
  if (!status.ok()) co_return;
  if (!shape.has_row || shape.has_inputs || shape.has_texts) {
    co_return co_await tei::answer_any(exchange);
  }
  co_await answer_rows(exchange, &shape);
}

Awaitable invocations(Exchange& exchange) {
  switch (body_format(exchange.request.header("content-type"))) {
    case BodyFormat::json:
      co_return co_await answer_json(exchange);
    case BodyFormat::json_lines:
      co_return co_await answer_rows(exchange, nullptr);
    case BodyFormat::other:
      exchange.query.status =
          invalid_argument({.what = "The body's format is not known",
                            .where = "Content-Type",
                            .expected = "application/json or application/jsonlines",
                            .found = std::string(exchange.request.header("content-type"))});
      tei::write_error(exchange.query.status, 0, exchange.response);
      exchange.response.status = 415;
      co_return;
  }
}

Awaitable ping(Exchange& exchange) {
  exchange.query.status = check_ready(exchange);
  co_return;
}

}  // namespace
}  // namespace sagemaker

std::span<const Endpoint> sagemaker_endpoints() {
  static constexpr Endpoint kEndpoints[] = {
      {"GET", "/ping", sagemaker::ping, tei::write_error, true},
      {"POST", "/invocations", sagemaker::invocations, tei::write_error, false, true},
  };
  return kEndpoints;
}

}  // namespace tilewise::server
