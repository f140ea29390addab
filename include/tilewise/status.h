// Errors as values: every call that a file, a caller or the network can make fail returns Status or
// Result<T>.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include <tilewise/export.h>

namespace tilewise {

/// What kind of failure; base/status.h maps each kind to a process exit code and to the codes of HTTP
/// and gRPC.
enum class StatusCode {
  ok,
  invalid_argument,     ///< the caller's request is wrong (flag, task name, option)
  invalid_input,        ///< a file, model or row is bad
  unsupported,          ///< the model is well formed but beyond what tilewise expresses
  not_found,            ///< a path or a name that does not exist
  unavailable_machine,  ///< this machine cannot run it (instruction set, memory)
  io_error,             ///< reading or writing failed (disk full, permission, device)
  interrupted,          ///< stopped on request; run again to resume
  internal,             ///< a promise of tilewise itself was broken
  overloaded,           ///< the work cannot be done in time now; later it can
  deadline_exceeded,    ///< the time that the caller gave was over before the work was done
  cancelled,            ///< the caller has gone or no longer wants it
  unavailable,          ///< not ready, or about to stop
  unauthenticated,      ///< the caller has not shown that it may ask
  too_large,            ///< more than a limit allows
};

/// The five answers that every error message owes its reader. Empty fields are left out of the
/// text.
struct Problem {
  std::string what = {};      ///< what went wrong, one sentence without the final full stop
  std::string where = {};     ///< file, line, tensor, field or flag
  std::string expected = {};  ///< what would have been right
  std::string found = {};     ///< what was there instead
  std::string remedy = {};    ///< what the reader can do about it
};

/// Success, or one Problem with its code. Copyable, movable, not thread-safe.
class [[nodiscard]] TILEWISE_EXPORT Status {
 public:
  Status() = default;
  Status(StatusCode code, Problem problem) : code_(code), problem_(std::move(problem)) {}

  bool ok() const { return code_ == StatusCode::ok; }
  StatusCode code() const { return code_; }
  const Problem& problem() const { return problem_; }

  /// "WHAT (at WHERE; expected EXPECTED; found FOUND). REMEDY." with the empty parts left out.
  std::string message() const;

 private:
  StatusCode code_ = StatusCode::ok;
  Problem problem_;
};

/// A value or the Status that says why there is none. Never holds an ok Status.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) {}

  bool ok() const { return state_.index() == 0; }

  /// The reason of the failure; an ok Status when there is a value.
  Status status() const { return ok() ? Status() : std::get<1>(state_); }

  /// The value; calling it on a failed Result is a programming error (throws
  /// std::bad_variant_access).
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace tilewise
