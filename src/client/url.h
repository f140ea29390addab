// http://HOST:PORT/PATH
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace tilewise::client {

struct Url {
  std::string host;
  std::string port = "80";
  std::string path = "/";  ///< with the query
};

/// Errors: invalid_argument for anything but http://.
Result<Url> parse_url(std::string_view text);

}  // namespace tilewise::client
