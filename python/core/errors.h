// A Status of the library as an exception of tilewise.errors.
#pragma once

#include <nanobind/nanobind.h>

#include <tilewise/status.h>

namespace tilewise::python {

/// Throws the exception that fits a failed call. With the GIL.
[[noreturn]] void raise(const Status& status);

/// Throws tilewise.errors.`name` with this message.
[[noreturn]] void raise(const char* name, const std::string& message);

/// what, where, expected, found, remedy: the keyword arguments of tilewise.errors.Error.
nanobind::dict parts_of(const Problem& problem);

}  // namespace tilewise::python
