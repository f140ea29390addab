#include "server/tei/error.h"

#include <string>

#include "rows/writer.h"
#include "server/exchange.h"

namespace tilewise::server::tei {
namespace {

void write(std::string_view message, std::string_view type, int http_status,
           HttpResponse& response) {
  response.clear();
  response.status = http_status;
  response.body = R"({"error":)";
  rows::append_json_string(message, response.body);
  response.body += R"(,"error_type":")";
  response.body += type;
  response.body += "\"}";
}

}  // namespace

ErrorType error_type(StatusCode code) {
  switch (code) {
    case StatusCode::ok:
    case StatusCode::invalid_argument:
    case StatusCode::invalid_input:
      return {"Validation", 422};
    case StatusCode::unsupported:
    case StatusCode::unavailable_machine:
    case StatusCode::io_error:
    case StatusCode::internal:
      return {"Backend", 424};
    case StatusCode::overloaded:
      return {"Overloaded", 429};
    case StatusCode::deadline_exceeded:
    case StatusCode::cancelled:
      return {"Overloaded", http_status(code)};
    case StatusCode::unavailable:
    case StatusCode::interrupted:
      return {"Unhealthy", 503};
    case StatusCode::not_found:
    case StatusCode::unauthenticated:
    case StatusCode::too_large:
      return {"Validation", http_status(code)};
  }
  return {"Backend", 424};
}

void write_error(const Status& status, double retry_after_seconds, HttpResponse& response) {
  const ErrorType type = error_type(status.code());
  write(status.message(), type.name, type.http_status, response);
  add_retry_after(retry_after_seconds, response);
}

void write_empty_error(std::string_view name, HttpResponse& response) {
  write("`" + std::string(name) + "` cannot be empty", "Empty", 400, response);
}

}  // namespace tilewise::server::tei
