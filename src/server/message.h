// An HTTP request and response as plain data: what stands between the connection (Beast) and the
// protocols.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tilewise::server {

/// "%41" -> "A"; what is no escape stays as it is.
std::string percent_decode(std::string_view text);

/// So many bytes after the end of a body may be read, whatever they are: JSON is parsed in place.
inline constexpr size_t kBodyPadding = 64;

/// Views into the connection's memory, valid until the response has been written.
struct HttpRequest {
  std::string_view method;  ///< "GET"
  std::string_view path;    ///< without the query, as sent
  std::string_view query;   ///< after '?', as sent; may be empty
  std::vector<std::pair<std::string_view, std::string_view>> headers;
  std::string_view body;  ///< kBodyPadding bytes after its end are the connection's, too

  /// Value of the first header of this name (any case); empty where there is none.
  std::string_view header(std::string_view name) const;
  /// Percent-decoded value of the first such query parameter; empty where there is none.
  std::string query_value(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string_view content_type = "application/json";  ///< a literal
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  ///< more of them

  void clear() {
    status = 200;
    content_type = "application/json";
    body.clear();
    headers.clear();
  }
};

}  // namespace tilewise::server
