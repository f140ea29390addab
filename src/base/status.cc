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

int exit_code(const Status& status) {
  switch (status.code()) {
    case StatusCode::ok:
      return 0;
    case StatusCode::invalid_argument:
      return 2;
    case StatusCode::invalid_input:
    case StatusCode::unsupported:
    case StatusCode::not_found:
      return 3;
    case StatusCode::unavailable_machine:
      return 4;
    case StatusCode::interrupted:
      return 5;
    case StatusCode::io_error:
    case StatusCode::internal:
      return 1;
  }
  return 1;
}

}  // namespace tilewise
