#include "base/status.h"

#include <system_error>

namespace tilewise {

std::string Status::message() const {
  if (ok()) return "ok";
  std::string details;
  const auto add = [&](std::string_view label, const std::string& text) {
    if (text.empty()) return;
    if (!details.empty()) details += "; ";
    details.append(label).append(text);
  };
  add("at ", problem_.where);
  add("expected ", problem_.expected);
  add("found ", problem_.found);
  std::string message = problem_.what;
  if (!details.empty()) message += " (" + details + ")";
  if (!problem_.remedy.empty()) message += ". " + problem_.remedy;
  if (!message.ends_with('.')) message += '.';
  return message;
}

std::string errno_text(int error) { return std::generic_category().message(error); }

namespace {

/// What a code is called elsewhere.
struct Names {
  StatusCode code;
  const char* name;
  int exit;
  int http;
  int grpc;
};

constexpr Names kNames[] = {
    {StatusCode::ok, "ok", 0, 200, 0},
    {StatusCode::invalid_argument, "invalid_argument", 2, 400, 3},
    {StatusCode::invalid_input, "invalid_input", 3, 400, 3},
    {StatusCode::unsupported, "unsupported", 3, 501, 12},
    {StatusCode::not_found, "not_found", 3, 404, 5},
    {StatusCode::unavailable_machine, "unavailable_machine", 4, 500, 13},
    {StatusCode::io_error, "io_error", 1, 500, 13},
    {StatusCode::interrupted, "interrupted", 5, 503, 14},
    {StatusCode::internal, "internal", 1, 500, 13},
    {StatusCode::overloaded, "overloaded", 1, 429, 8},
    {StatusCode::deadline_exceeded, "deadline_exceeded", 1, 504, 4},
    {StatusCode::cancelled, "cancelled", 1, 499, 1},
    {StatusCode::unavailable, "unavailable", 1, 503, 14},
    {StatusCode::unauthenticated, "unauthenticated", 1, 401, 16},
    {StatusCode::too_large, "too_large", 1, 413, 8},
};

const Names& names_of(StatusCode code) {
  for (const Names& names : kNames) {
    if (names.code == code) return names;
  }
  return kNames[static_cast<size_t>(StatusCode::internal)];
}

}  // namespace

int exit_code(const Status& status) { return names_of(status.code()).exit; }
int http_status(StatusCode code) { return names_of(code).http; }
int grpc_status(StatusCode code) { return names_of(code).grpc; }
const char* name_of(StatusCode code) { return names_of(code).name; }

}  // namespace tilewise
