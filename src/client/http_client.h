// Asks a server one thing and waits for the answer.
#pragma once

#include <chrono>
#include <string>

#include "base/status.h"
#include "client/url.h"

namespace tilewise::client {

struct Response {
  int status = 0;
  std::string body;
};

/// Errors: io_error (nothing listens, no answer in time, not HTTP).
Result<Response> get(const Url& url, std::chrono::milliseconds timeout = std::chrono::seconds(5));

}  // namespace tilewise::client
