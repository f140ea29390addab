#include "errors.h"

#include <nanobind/stl/string.h>

namespace nb = nanobind;

namespace tilewise::python {
namespace {

const char* class_of(StatusCode code) {
  switch (code) {
    case StatusCode::invalid_argument:
      return "InvalidArgumentError";
    case StatusCode::invalid_input:
      return "InvalidInputError";
    case StatusCode::unsupported:
      return "UnsupportedError";
    case StatusCode::not_found:
      return "NotFoundError";
    case StatusCode::unavailable_machine:
      return "MachineError";
    case StatusCode::io_error:
      return "InputOutputError";
    case StatusCode::internal:
      return "InternalError";
    default:  // a server's
      return "Error";
  }
}

[[noreturn]] void raise(const char* name, const std::string& message, const nb::dict& parts) {
  const nb::object type = nb::module_::import_("tilewise.errors").attr(name);
  const nb::object error = type(message, **parts);
  PyErr_SetObject(type.ptr(), error.ptr());
  throw nb::python_error();
}

}  // namespace

void raise(const Status& status) {
  raise(class_of(status.code()), status.message(), parts_of(status.problem()));
}

void raise(const char* name, const std::string& message) { raise(name, message, nb::dict()); }

nb::dict parts_of(const Problem& problem) {
  nb::dict parts;
  parts["what"] = problem.what;
  parts["where"] = problem.where;
  parts["expected"] = problem.expected;
  parts["found"] = problem.found;
  parts["remedy"] = problem.remedy;
  return parts;
}

}  // namespace tilewise::python
