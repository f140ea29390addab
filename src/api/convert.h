// Between the types of the public header and those of model/ and engine/.
#pragma once

#include <tilewise/tilewise.h>

#include "api/compile_checkpoint.h"
#include "base/status.h"
#include "engine/engine.h"
#include "model/row.h"
#include "model/task.h"

namespace tilewise::api {

/// Errors: invalid_argument naming the option.
Result<engine::Options> to_engine(const OpenOptions& options);
Result<engine::PredictOptions> to_engine(const PredictOptions& options);

model::Input to_input(const Content& text);
model::Input to_input(const Pair& pair);

/// Texts first, then pairs.
std::vector<CalibrationInputs> to_inputs(const std::vector<Calibration>& calibration);

TaskInfo to_public(const model::Task& task);
/// `prediction` is of `task`.
Prediction to_public(const model::Task& task, model::Prediction prediction);

}  // namespace tilewise::api
