// The task of a checkpoint with Hugging Face's head of sequence classification.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "checkpoint/json.h"
#include "model/task.h"

namespace tilewise::checkpoint {

/// The number of logits: id2label, or num_labels, or Hugging Face's default of 2. 0 after a
/// problem.
int32_t read_label_count(const JsonObject& config);

/// The task that config.json describes, named "classification" ("regression" for one that gives a
/// value). Its kind:
///
///   problem_type                     kind          where Hugging Face has the same
///   single_label_classification      multiclass    cross entropy, softmax
///   multi_label_classification       multilabel    binary cross entropy, sigmoid a label
///   regression (one label)           regression    mean squared error, the raw value
///   none, two labels or more         multiclass    the trainer's and the pipeline's default
///   none, one label, cross-encoder   binary        sentence-transformers' activation Sigmoid
///                                    regression    its activation Identity: the raw logit
///   none, one label                  regression    trained as regression; its pipeline would show
///   a sigmoid, which a
///                                                  tasks.json with kind "binary" asks for
///
/// A cross-encoder takes pairs, everything else plain texts; tasks.json overrides both.
/// nullopt after a problem in the config's report.
std::optional<model::Task> read_classification_task(
    const JsonObject& config, const std::optional<std::string>& cross_encoder_activation,
    int32_t max_tokens);

}  // namespace tilewise::checkpoint
