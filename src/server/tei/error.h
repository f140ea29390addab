// The form of TEI's errors: {"error": "...", "error_type": "Validation"}.
#pragma once

#include <string_view>

#include "base/status.h"
#include "server/message.h"

namespace tilewise::server::tei {

/// TEI's name and HTTP status for a kind of failure: what TEI does not have (401, 404, 405, 413,
/// 499, 504) keeps its own status and takes the nearest name.
struct ErrorType {
  std::string_view name;
  int http_status;
};
ErrorType error_type(StatusCode code);

/// An ErrorWriter.
void write_error(const Status& status, double retry_after_seconds, HttpResponse& response);

/// 400 "Empty": there is nothing to answer. `name`: of the member that has no elements.
void write_empty_error(std::string_view name, HttpResponse& response);

}  // namespace tilewise::server::tei
