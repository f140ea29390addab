// From the numbers of a head to a prediction: probabilities, labels, thresholds.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "model/row.h"
#include "model/task.h"

namespace tilewise::engine {

/// `values`: the logits of the task, or the pooled vector for an embedding; of a task with exits
/// followed by the layers that the answer took. `layers`: of the encoder, where the task has exits:
/// only an answer that took all of them may be out of scope, for an exit gives none that is.
/// `truncated` is left alone.
void fill_prediction(const model::Task& task, std::span<const float> values,
                     const PredictOptions& options, model::Prediction& prediction,
                     int32_t layers = 0);

/// All classes with their scores, best first, of those that score alike the first; at most `top` of
/// them (0: all).
void rank(std::span<const float> scores, int32_t top, std::vector<model::LabelScore>& labels);

/// ln(sum(exp(logit / temperature))), without overflow. `logits` is not empty.
double log_sum_exp(std::span<const float> logits, double temperature);

/// Scales a vector to length 1 (L2); a zero vector stays zero.
void scale_to_unit_length(std::span<float> values);

}  // namespace tilewise::engine
