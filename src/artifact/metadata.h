// What an artifact says about itself, beside its tensors.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/encoder_spec.h"
#include "model/model.h"
#include "model/precision.h"
#include "model/task.h"

namespace tilewise::artifact {

/// The lossy choices, one line an operator kind, so that inspect can show them: {"linear", "bf16"},
/// {"heads", "fp32"}.
struct OperatorPrecision {
  std::string operators;
  std::string stored_as;
  bool operator==(const OperatorPrecision&) const = default;
};

/// A task and which dense layer precedes its output layer, if any.
struct TaskEntry {
  model::Task task;
  bool has_dense = false;
  model::Activation dense_activation = model::Activation::identity;
  bool dense_norm = false;  ///< a norm follows the activation
  bool operator==(const TaskEntry&) const = default;
};

/// How one linear layer of the encoder runs; see "int8" in FORMAT.md.
struct LinearPrecision {
  std::string layer;  ///< its tensors' name without ".weight": "layers.0.qkv"
  model::Precision precision = model::Precision::int8;  ///< int8, or bf16 where int8 costs too much
  bool is_smoothed = false;                             ///< int8: there is a tensor LAYER.smooth
  /// int8: inputs are quantised upwards from here; nullopt: around 0.
  std::optional<float> input_floor = {};
  /// Of the layer's output in int8, also where it stays bf16: RMS error / RMS value on the
  /// calibration rows. nullopt: not calibrated.
  std::optional<float> error = {};
  bool operator==(const LinearPrecision&) const = default;
};

/// The rows of one task that int8 was calibrated with.
struct CalibrationRows {
  std::string task;
  int32_t rows = 0;                        ///< how many were used
  std::optional<std::string> sha256 = {};  ///< of their file; nullopt: they came from memory
  float error = 0;  ///< of the task's outputs in int8 on these rows: RMS error / RMS value
  bool operator==(const CalibrationRows&) const = default;
};

struct Metadata {
  model::EncoderSpec spec;
  model::Precision precision = model::Precision::fp32;
  std::vector<TaskEntry> tasks;
  model::Provenance provenance;
  std::vector<OperatorPrecision> numerics;
  std::vector<LinearPrecision> linears;      ///< int8: all of the encoder, in order; else none
  std::vector<CalibrationRows> calibration;  ///< int8: one a task, none twice
  std::string compiler;                      ///< "tilewise 0.1.0"
  bool operator==(const Metadata&) const = default;
};

/// Whether every value lies in the ranges of FORMAT.md, so that whoever reads the metadata can rely
/// on them. Errors: invalid_input, naming the field ("tasks[1].max_tokens").
Status validate(const Metadata& metadata);

/// Canonical JSON: fixed key order, shortest floats that read back equal. Equal metadata gives
/// equal bytes. Only for metadata that validate() accepts.
std::string to_json(const Metadata& metadata);

/// The inverse, for bytes that nobody vouches for: what it accepts is canonical and passes
/// validate(). Errors: invalid_input, naming the field.
Result<Metadata> parse_metadata(std::string_view json);

}  // namespace tilewise::artifact
