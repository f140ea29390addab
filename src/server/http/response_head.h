// Status line and headers of a response.
#pragma once

#include <string>
#include <string_view>

#include "server/message.h"

namespace tilewise::server {

/// What the connection adds to what the endpoint said. Empty: left out.
struct ResponseFrame {
  std::string_view date = {};
  std::string_view request_id = {};
  std::string_view traceparent = {};
  bool close = false;
  bool says_keep_alive = false;  ///< HTTP/1.0 must be told
};

/// `head` is replaced; its memory is reused.
void write_head(const HttpResponse& response, const ResponseFrame& frame, std::string& head);

}  // namespace tilewise::server
