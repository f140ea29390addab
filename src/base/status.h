// Short ways to make and pass on a Status. The types themselves are public: tilewise/status.h.
#pragma once

#include <string_view>

#include <tilewise/status.h>

namespace tilewise {

inline Status invalid_argument(Problem p) { return {StatusCode::invalid_argument, std::move(p)}; }
inline Status invalid_input(Problem p) { return {StatusCode::invalid_input, std::move(p)}; }
inline Status unsupported(Problem p) { return {StatusCode::unsupported, std::move(p)}; }
inline Status not_found(Problem p) { return {StatusCode::not_found, std::move(p)}; }
inline Status unavailable_machine(Problem p) {
  return {StatusCode::unavailable_machine, std::move(p)};
}
inline Status io_error(Problem p) { return {StatusCode::io_error, std::move(p)}; }
inline Status interrupted(Problem p) { return {StatusCode::interrupted, std::move(p)}; }
inline Status internal_error(Problem p) { return {StatusCode::internal, std::move(p)}; }
inline Status overloaded(Problem p) { return {StatusCode::overloaded, std::move(p)}; }
inline Status deadline_exceeded(Problem p) { return {StatusCode::deadline_exceeded, std::move(p)}; }
inline Status cancelled(Problem p) { return {StatusCode::cancelled, std::move(p)}; }
inline Status unavailable(Problem p) { return {StatusCode::unavailable, std::move(p)}; }
inline Status unauthenticated(Problem p) { return {StatusCode::unauthenticated, std::move(p)}; }
inline Status too_large(Problem p) { return {StatusCode::too_large, std::move(p)}; }

/// The text of an errno value, for Problem::found ("No space left on device").
std::string errno_text(int error);

/// The process exit code of a Status: 0 done, 1 failed, 2 command line, 3 bad input or model, 4
/// machine, 5 interrupted.
int exit_code(const Status& status);

/// The status of an HTTP response (RFC 9110; 499, as nginx has it, where the client has gone).
int http_status(StatusCode code);

/// The number of a grpc::StatusCode.
int grpc_status(StatusCode code);

/// The enumerator as text: "overloaded".
const char* name_of(StatusCode code);

}  // namespace tilewise

/// Leaves the enclosing function with the Status of `expression` unless that is ok.
#define TILEWISE_RETURN_IF_ERROR(expression)                                        \
  do {                                                                              \
    if (::tilewise::Status tilewise_status_ = (expression); !tilewise_status_.ok()) \
      return tilewise_status_;                                                      \
  } while (false)

#define TILEWISE_CONCAT_INNER(a, b) a##b
#define TILEWISE_CONCAT(a, b) TILEWISE_CONCAT_INNER(a, b)

/// Binds `declaration` to the value of a Result, or leaves the enclosing function with its Status.
#define TILEWISE_ASSIGN_OR_RETURN(declaration, expression)         \
  auto TILEWISE_CONCAT(tilewise_result_, __LINE__) = (expression); \
  if (!TILEWISE_CONCAT(tilewise_result_, __LINE__).ok())           \
    return TILEWISE_CONCAT(tilewise_result_, __LINE__).status();   \
  declaration = *std::move(TILEWISE_CONCAT(                        \
      tilewise_result_, __LINE__))  // NOLINT(bugprone-macro-parentheses): a declaration
