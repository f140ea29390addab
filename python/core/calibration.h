// Columns of the caller as rows to calibrate with.
#pragma once

#include <string>

#include <tilewise/tilewise.h>

#include "column.h"

namespace tilewise::python {

/// Copies the rows that have a text; `right`: null for single texts. Both have as many rows, else:
/// tilewise.errors.InvalidArgumentError.
Calibration calibration_of(const std::string& task, const Column& left, const Column* right);

}  // namespace tilewise::python
