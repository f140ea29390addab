#include "server/openai/error.h"

#include <string_view>

#include "rows/json_writer.h"
#include "server/exchange.h"

namespace tilewise::server::openai {
namespace {

struct Kind {
  std::string_view type;
  std::string_view code;  ///< empty: null
};

Kind kind_of(StatusCode code) {
  switch (code) {
    case StatusCode::not_found:
      return {"invalid_request_error", "model_not_found"};
    case StatusCode::unauthenticated:
      return {"invalid_request_error", "invalid_api_key"};
    case StatusCode::overloaded:
      return {"rate_limit_error", "rate_limit_exceeded"};
    case StatusCode::deadline_exceeded:
    case StatusCode::cancelled:
      return {"server_error", "timeout"};
    case StatusCode::unavailable:
    case StatusCode::interrupted:
      return {"server_error", "service_unavailable"};
    case StatusCode::unavailable_machine:
    case StatusCode::io_error:
    case StatusCode::internal:
      return {"server_error", ""};
    default:
      return {"invalid_request_error", ""};
  }
}

/// "input" for a place in it, whichever name it has on its way ("inputs[3]").
std::string_view param_of(const Status& status) {
  const std::string_view where = status.problem().where;
  for (const std::string_view name : {"input", "model", "dimensions", "encoding_format"}) {
    if (where.starts_with(name)) return name;
  }
  if (where.starts_with("task") || status.code() == StatusCode::not_found) return "model";
  return {};
}

void put(std::string_view text, rows::JsonWriter& json) {
  text.empty() ? json.null() : json.string(text);
}

/// What does not fit the request is the request's fault here: 501 would say that the server lacks
/// something.
int status_of(StatusCode code) { return code == StatusCode::unsupported ? 400 : http_status(code); }

}  // namespace

void write_error(const Status& status, double retry_after_seconds, HttpResponse& response) {
  const Kind kind = kind_of(status.code());
  rows::JsonWriter json;
  json.begin_object().key("error").begin_object();
  json.key("message").string(status.message()).key("type").string(kind.type).key("param");
  put(param_of(status), json);
  json.key("code");
  put(kind.code, json);
  json.end_object().end_object();
  response.clear();
  response.status = status_of(status.code());
  response.body = json.text();
  add_retry_after(retry_after_seconds, response);
}

}  // namespace tilewise::server::openai
