// Path and method -> endpoint.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/exchange.h"

namespace tilewise::server {

struct Route {
  const Endpoint* endpoint = nullptr;  ///< null: no endpoint has this path and method
  bool path_exists = false;            ///< with other methods:
  std::string allowed;                 ///< "GET, HEAD, POST", for Allow
  /// For the metrics: "kserve", "tei", ...; empty for paths that belong to none of them.
  std::string_view protocol;
  /// The form of errors at this path, also where there is no endpoint.
  ErrorWriter write_error = write_plain_error;
};

/// HEAD finds the endpoint of GET. `captures` gets what stands for {...}, percent-decoded;
/// `decoded` owns the text of those that had escapes in them.
Route find_route(std::string_view method, std::string_view path,
                 std::vector<std::string_view>& captures, std::vector<std::string>& decoded);

}  // namespace tilewise::server
