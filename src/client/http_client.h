// Asks a server one thing and waits for the answer.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/status.h"
#include "client/url.h"

namespace tilewise::client {

struct Response {
  int status = 0;
  std::string body;
};

/// `api_key`: sent as a bearer token; empty: none. Errors: io_error (nothing listens, no answer in
/// time, not HTTP); invalid_argument for a path or a key that HTTP cannot carry.
Result<Response> get(const Url& url, std::chrono::milliseconds timeout = std::chrono::seconds(5),
                     std::string_view api_key = {});

}  // namespace tilewise::client
