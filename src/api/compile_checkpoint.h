// A seam inside this folder: the public function tilewise::compile and the namespace
// tilewise::compile of src/compile cannot be named in one file.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "model/row.h"

namespace tilewise::api {

/// Rows of one task to calibrate int8 with.
struct CalibrationInputs {
  std::string task;
  std::vector<model::Input> inputs;
};

/// What tilewise::compile of <tilewise/tilewise.h> does.
Status compile_checkpoint(const std::string& folder, const std::string& backbone,
                          const std::string& precision, std::vector<CalibrationInputs> calibration,
                          const std::string& output);

}  // namespace tilewise::api
