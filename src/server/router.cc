#include "server/router.h"

#include <algorithm>

namespace tilewise::server {
namespace {

struct Protocol {
  std::string_view name;
  std::span<const Endpoint> endpoints;
};

/// Every endpoint that there is.
std::span<const Protocol> protocols() {
  static const Protocol all[] = {
      {"kserve", kserve_endpoints()},       {"tei", tei_endpoints()},
      {"openai", openai_endpoints()},       {"sagemaker", sagemaker_endpoints()},
      {"operation", operation_endpoints()},
  };
  return all;
}

/// Takes one segment off the front of a path that starts with '/'.
std::string_view take_segment(std::string_view& path) {
  path.remove_prefix(1);
  const std::string_view segment = path.substr(0, path.find('/'));
  path.remove_prefix(segment.size());
  return segment;
}

bool is_capture(std::string_view segment) { return segment.starts_with('{'); }

/// Whether the path fits the pattern; an empty segment is no name.
bool matches(std::string_view pattern, std::string_view path) {
  while (pattern.starts_with('/') && path.starts_with('/')) {
    const std::string_view expected = take_segment(pattern);
    const std::string_view found = take_segment(path);
    if (is_capture(expected) ? found.empty() : expected != found) return false;
  }
  return pattern.empty() && path.empty();
}

/// Of a pattern that matches.
void capture(std::string_view pattern, std::string_view path,
             std::vector<std::string_view>& captures, std::vector<std::string>& decoded) {
  captures.clear();
  decoded.clear();
  decoded.reserve(std::count(pattern.begin(), pattern.end(), '{'));  // short strings must not move
  while (!pattern.empty()) {
    const std::string_view expected = take_segment(pattern);
    std::string_view found = take_segment(path);
    if (!is_capture(expected)) continue;
    if (found.find('%') != std::string_view::npos) {
      found = decoded.emplace_back(percent_decode(found));
    }
    captures.push_back(found);
  }
}

void allow(std::string_view method, std::string& allowed) {
  const auto add = [&](std::string_view name) {
    if (!allowed.empty()) allowed += ", ";
    allowed += name;
  };
  add(method);
  if (method == "GET") add("HEAD");
}

/// Paths that no endpoint has answer as the first endpoint under the same first segment would.
void take_form_of_neighbours(std::string_view path, Route& route) {
  if (!path.starts_with('/')) return;
  const std::string_view first = take_segment(path);
  for (const Protocol& protocol : protocols()) {
    for (const Endpoint& endpoint : protocol.endpoints) {
      std::string_view pattern = endpoint.path;
      if (take_segment(pattern) != first) continue;
      route.write_error = endpoint.write_error;
      return;
    }
  }
}

}  // namespace

Route find_route(std::string_view method, std::string_view path,
                 std::vector<std::string_view>& captures, std::vector<std::string>& decoded) {
  Route route;
  const std::string_view wanted = method == "HEAD" ? std::string_view("GET") : method;
  for (const Protocol& protocol : protocols()) {
    for (const Endpoint& endpoint : protocol.endpoints) {
      if (!matches(endpoint.path, path)) continue;
      route.path_exists = true;
      route.protocol = protocol.name;
      route.write_error = endpoint.write_error;
      if (endpoint.method == wanted) {
        route.endpoint = &endpoint;
        capture(endpoint.path, path, captures, decoded);
        return route;
      }
      allow(endpoint.method, route.allowed);
    }
  }
  if (!route.path_exists) take_form_of_neighbours(path, route);
  return route;
}

}  // namespace tilewise::server
