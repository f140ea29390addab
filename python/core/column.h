// What Python callers pass, as columns of the library.
#pragma once

#include <memory>

#include <nanobind/nanobind.h>

#include <tilewise/columns.h>

namespace tilewise::python {

/// A column with the memory that it lies in. Immutable, so it may be used without the GIL.
struct Column {
  ContentColumn content;
  std::shared_ptr<const void> memory;

  int64_t rows() const;
};

/// Copies the texts (str, None) or the records (dict: field -> str, number, bool or None) of a
/// list. NaN is as None. Errors: tilewise.errors.WrongTypeError naming the row.
Column column_of_list(const nanobind::list& items);

/// The column that two capsules of Arrow's PyCapsule interface hold: strings in any of the three
/// layouts, or a struct of such whose own validity is not looked at. Strings stay where they are;
/// the array's capsule is empty afterwards. Errors: tilewise.errors.WrongTypeError,
/// InvalidInputError (offsets that are none).
Column column_of_arrow(nanobind::handle schema, nanobind::handle array);

}  // namespace tilewise::python
