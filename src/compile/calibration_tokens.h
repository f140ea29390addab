// The rows that int8 is calibrated with, as token sequences. Private to this folder.
#pragma once

#include <vector>

#include "base/status.h"
#include "compile/draft.h"
#include "compile/simulation.h"

namespace tilewise::compile {

/// As many rows of each task as make a few seconds' work, evenly spread over those that fit; what
/// does not is counted in draft.rejected. `draft` has its tokenizer's tables. Errors:
/// invalid_argument (no such task, a task twice), invalid_input (no row fits).
Result<std::vector<TaskTokens>> calibration_tokens(Draft& draft);

}  // namespace tilewise::compile
