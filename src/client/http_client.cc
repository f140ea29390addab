#include "client/http_client.h"

#include <algorithm>

#include "client/send_once.h"

namespace tilewise::client {
namespace {

/// Printable ASCII without blanks: what could end a line or a word of a request is none of it.
bool is_one_word(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace

Result<Response> get(const Url& url, std::chrono::milliseconds timeout, std::string_view api_key) {
  if (!is_one_word(url.path) || !is_one_word(url.host)) {
    return invalid_argument({.what = "this address cannot stand in a request",
                             .expected = "printable ASCII without blanks; escape others (%20)",
                             .found = url.host + url.path});
  }
  if (!is_one_word(api_key)) {
    return invalid_argument({.what = "this API key cannot stand in a request",
                             .expected = "printable ASCII without blanks"});
  }
  const bool is_ipv6 = url.host.find(':') != std::string::npos;
  PreparedRequest request;
  request.bytes = "GET " + url.path + " HTTP/1.1\r\nHost: ";
  request.bytes += is_ipv6 ? "[" + url.host + "]" : url.host;
  request.bytes += ":" + url.port + "\r\nConnection: close\r\n";
  if (!api_key.empty()) {
    request.bytes.append("Authorization: Bearer ").append(api_key).append("\r\n");
  }
  request.bytes += "\r\n";
  return send_once(url, request, timeout);
}

}  // namespace tilewise::client
