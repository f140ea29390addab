#include "client/url.h"

namespace tilewise::client {

Result<Url> parse_url(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  const auto refuse = [&] {
    return invalid_argument({.what = "this is not the address of a server",
                             .expected = "http://HOST[:PORT][/PATH]",
                             .found = std::string(text)});
  };
  if (!text.starts_with(kScheme)) return refuse();
  std::string_view rest = text.substr(kScheme.size());
  const std::string_view authority = rest.substr(0, rest.find('/'));
  rest.remove_prefix(authority.size());
  // An IPv6 address stands in brackets and has colons itself.
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  std::string_view host = authority.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty()) return refuse();
  Url url{.host = std::string(host)};
  if (colon != std::string_view::npos) {
    const std::string_view port = authority.substr(colon + 1);
    if (port.empty() || port.find_first_not_of("0123456789") != std::string_view::npos) {
      return refuse();
    }
    url.port = port;
  }
  if (!rest.empty()) url.path = rest;
  return url;
}

}  // namespace tilewise::client
