// What is refused before an endpoint sees it, and why.
#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "server/app.h"
#include "server/exchange.h"
#include "server/http/request_parser.h"
#include "server/router.h"

namespace tilewise::server {

struct Refusal {
  Status status;
  int http = 0;  ///< where it is not the code's own
  double retry_after_seconds = 0;
  bool close = false;  ///< the connection cannot go on
};

/// Of a request whose head could not be read to its end.
Refusal refusal_of(const ParseError& error);

/// The client was too slow.
Refusal too_slow();

/// Too many connections are open.
Refusal too_many_connections(int32_t most);

/// Looks at the head alone: path, method, key, length, encoding.
std::optional<Refusal> check_head(const Settings& settings, const HttpRequest& request,
                                  const RequestParser& parser, const Route& route);

/// Sets arrival, priority and deadline of the query from the headers. Errors: a header that makes
/// no sense.
Status read_timing(const Settings& settings, const HttpRequest& request, Time arrival,
                   engine::Request& query);

/// Whether an inference can be answered now at all.
std::optional<Refusal> check_load(const App& app, const engine::Request& query);

/// Writes the refusal in the form of the route.
void write_refusal(const Refusal& refusal, const Route& route, HttpResponse& response);

}  // namespace tilewise::server
