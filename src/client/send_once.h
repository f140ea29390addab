// One prepared request on a connection of its own.
#pragma once

#include <chrono>
#include <string>

#include "base/status.h"
#include "client/http_client.h"
#include "client/url.h"

namespace tilewise::client {

/// One HTTP request, ready to be sent again and again.
struct PreparedRequest {
  std::string bytes;  ///< request line, headers and body
};

/// Sends it and waits for the whole answer. Errors: io_error (nothing listens, no answer in time,
/// not HTTP).
Result<Response> send_once(const Url& url, const PreparedRequest& request,
                           std::chrono::milliseconds timeout = std::chrono::seconds(10));

}  // namespace tilewise::client
