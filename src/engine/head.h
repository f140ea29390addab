// From the numbers of a head to a prediction: probabilities, labels, thresholds.
#pragma once

#include <span>

#include "engine/engine.h"
#include "model/row.h"
#include "model/task.h"

namespace tilewise::engine {

/// `values`: the logits of the task, or the pooled vector for an embedding. `truncated` is left
/// alone.
void fill_prediction(const model::Task& task, std::span<const float> values,
                     const PredictOptions& options, model::Prediction& prediction);

}  // namespace tilewise::engine
