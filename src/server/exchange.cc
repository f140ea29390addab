#include "server/exchange.h"

#include <algorithm>
#include <cmath>

#include "rows/repair.h"
#include "rows/writer.h"

namespace tilewise::server {

void add_retry_after(double seconds, HttpResponse& response) {
  if (!(seconds > 0)) return;
  const auto whole = static_cast<int64_t>(std::ceil(std::min(seconds, 3600.0)));
  response.headers.emplace_back("Retry-After", std::to_string(whole));
}

void write_plain_error(const Status& status, double retry_after_seconds, HttpResponse& response) {
  response.clear();
  response.status = http_status(status.code());
  response.body = R"({"error":)";
  // Messages quote what the client sent, a path for example, which may be any bytes.
  rows::append_json_string(rows::replace_invalid_utf8(status.message()), response.body);
  response.body += '}';
  add_retry_after(retry_after_seconds, response);
}

}  // namespace tilewise::server
