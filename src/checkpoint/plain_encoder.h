// For tests: the forward pass of a Model as plain double-precision loops, straight from the
// formulas.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model.h"

namespace tilewise::checkpoint {

/// The output of one task for one token sequence: its logits, or the pooled (and normalised)
/// vector.
std::vector<double> plain_forward(const model::Model& model, const std::string& task,
                                  const std::vector<int32_t>& ids,
                                  const std::vector<int32_t>& types);

}  // namespace tilewise::checkpoint
