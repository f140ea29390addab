#include "server/http/gate.h"

#include <algorithm>
#include <charconv>

#include "server/admission.h"
#include "server/http/api_keys.h"

namespace tilewise::server {
namespace {

/// The longest deadline that may be asked for: a day.
constexpr double kLongestDeadlineMs = 86400e3;

Refusal no_such_path(const HttpRequest& request) {
  return {.status = not_found({.what = "there is nothing at this path",
                               .found = std::string(request.path.substr(0, 200)),
                               .remedy = "GET /openapi.json describes what there is"})};
}

Refusal no_such_method(const HttpRequest& request, const Route& route) {
  return {.status = invalid_argument({.what = "this path has no such method",
                                      .where = std::string(request.path.substr(0, 200)),
                                      .expected = route.allowed,
                                      .found = std::string(request.method.substr(0, 32))}),
          .http = 405};
}

Refusal no_key() {
  return {
      .status = unauthenticated(
          {.what = "an API key is needed", .where = "Authorization", .expected = "Bearer KEY"})};
}

}  // namespace

Refusal refusal_of(const ParseError& error) {
  Problem problem{.what = error.what};
  return {.status = error.http == 413 ? too_large(std::move(problem))
                                      : invalid_argument(std::move(problem)),
          .http = error.http,
          .close = true};
}

Refusal too_slow() {
  return {.status = invalid_argument({.what = "the request took too long to arrive"}),
          .http = 408,
          .close = true};
}

Refusal too_many_connections(int32_t most) {
  return {.status = unavailable({.what = "too many connections are open",
                                 .expected = "at most " + std::to_string(most)}),
          .retry_after_seconds = 1,
          .close = true};
}

std::optional<Refusal> check_head(const Settings& settings, const HttpRequest& request,
                                  const RequestParser& parser, const Route& route) {
  const bool is_open = route.endpoint != nullptr && route.endpoint->is_open;
  if (!is_open && !is_allowed(settings.api_keys, request)) return no_key();
  if (!route.path_exists) return no_such_path(request);
  if (route.endpoint == nullptr) return no_such_method(request, route);
  if (parser.expects_other()) {
    return Refusal{.status = invalid_argument({.what = "nothing but 100-continue can be expected",
                                               .where = "Expect",
                                               .found = std::string(request.header("expect"))}),
                   .http = 417,
                   .close = true};
  }
  if (const std::string_view coding = request.header("content-encoding");
      !coding.empty() && coding != "identity") {
    return Refusal{.status = invalid_argument({.what = "bodies cannot be compressed",
                                               .where = "Content-Encoding",
                                               .expected = "identity",
                                               .found = std::string(coding)}),
                   .http = 415};
  }
  if (route.endpoint->is_inference && !parser.has_length()) {
    return Refusal{
        .status = invalid_argument({.what = "the request has no body",
                                    .expected = "Content-Length, or Transfer-Encoding: chunked"}),
        .http = 411};
  }
  return std::nullopt;
}

Status read_timing(const Settings& settings, const HttpRequest& request, Time arrival,
                   engine::Request& query) {
  query.arrival = arrival;
  query.priority = runtime::Priority::interactive;
  if (const std::string_view priority = request.header("x-priority"); !priority.empty()) {
    if (priority == "bulk") {
      query.priority = runtime::Priority::bulk;
    } else if (priority != "interactive") {
      return invalid_argument({.what = "there is no such priority",
                               .where = "x-priority",
                               .expected = "interactive or bulk",
                               .found = std::string(priority)});
    }
  }
  query.deadline = arrival + (query.priority == runtime::Priority::bulk ? settings.bulk_deadline
                                                                        : settings.deadline);
  const std::string_view text = request.header("x-deadline-ms");
  if (text.empty()) return {};
  double milliseconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), milliseconds);
  if (error != std::errc() || end != text.data() + text.size() || !(milliseconds > 0) ||
      milliseconds > kLongestDeadlineMs) {
    return invalid_argument({.what = "the deadline is no time",
                             .where = "x-deadline-ms",
                             .expected = "milliseconds, more than 0 and at most 86400000",
                             .found = std::string(text)});
  }
  query.deadline = arrival + std::chrono::duration_cast<Duration>(
                                 std::chrono::duration<double, std::milli>(milliseconds));
  return {};
}

std::optional<Refusal> check_load(const App& app, const engine::Request& query) {
  const Phase phase = app.phase.load(std::memory_order_acquire);
  if (phase == Phase::starting) {
    return Refusal{.status = unavailable({.what = "the server is starting"}),
                   .retry_after_seconds = 1};
  }
  Refusal refusal;
  refusal.status =
      check_load(app.service, query.priority, query.deadline, refusal.retry_after_seconds);
  if (refusal.status.ok()) return std::nullopt;
  return refusal;
}

void write_refusal(const Refusal& refusal, const Route& route, HttpResponse& response) {
  route.write_error(refusal.status, refusal.retry_after_seconds, response);
  if (refusal.http != 0) response.status = refusal.http;
  if (!route.allowed.empty()) response.headers.emplace_back("Allow", route.allowed);
  if (refusal.status.code() == StatusCode::unauthenticated) {
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
  }
}

}  // namespace tilewise::server
