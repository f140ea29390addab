// --calibrate TASK=ROWS: the rows that int8 is calibrated with.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "compile/compile.h"
#include "model/model.h"

namespace tilewise::cli {

/// One --calibrate.
struct CalibrateFlag {
  std::string task;
  std::string path;
};

/// Splits at the first '='. Errors: invalid_argument.
Result<CalibrateFlag> parse_calibrate(const std::string& text);

/// Rows of a file, and how many lines were none.
struct CalibrationRows {
  compile::Calibration calibration;
  int64_t lines = 0;
  int64_t rejected = 0;
  Status first_rejection;
};

/// Reads the file's JSON lines; of a long file evenly spread ones. Errors: not_found (no such task
/// in the model, no such file), io_error, invalid_input (no usable line).
Result<CalibrationRows> read_calibration(const CalibrateFlag& flag, const model::Model& model);

}  // namespace tilewise::cli
