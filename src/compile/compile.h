// A checkpoint becomes an artifact: the passes, in order, on one page (compile.cc).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "artifact/metadata.h"
#include "base/status.h"
#include "checkpoint/checkpoint.h"
#include "model/model.h"
#include "model/precision.h"
#include "model/row.h"

namespace tilewise::compile {

/// Rows of one task to calibrate int8 with; labels are not needed. Some hundreds are enough.
struct Calibration {
  std::string task;
  std::vector<model::Input> inputs;
  std::optional<std::string> sha256 = {};  ///< of the file that they came from; for the artifact
};

struct Options {
  model::Precision precision = model::Precision::bf16;
  std::vector<Calibration> calibration = {};  ///< int8 only, each task at most once
  /// With calibration: layers stay in bf16 until no task's outputs have a larger error than this on
  /// its rows (RMS of the differences to fp32 over RMS of the outputs).
  double most_error = 0.02;
  std::vector<std::string> disabled_passes =
      {};  ///< for debugging; only passes that may be skipped ("merge_adapter"...)
};

/// What one pass did.
struct PassReport {
  std::string name;
  double seconds = 0;
  std::string detail;  ///< "36 updates of rank 32 merged"
};

/// Rows of a calibration that do not fit their task.
struct RejectedRows {
  std::string task;
  int64_t count = 0;
  Status first;  ///< why the first of them was left out
};

struct Report {
  std::vector<PassReport> passes;
  std::vector<RejectedRows> rejected;  ///< only tasks that have some
  artifact::Metadata metadata;         ///< of the artifact: int8 by layer, with its errors
  size_t artifact_bytes = 0;
};

/// Loads checkpoint and tokenizer together and checks that they fit each other.
Result<model::Model> load_model(const checkpoint::Source& source);

/// Runs the passes over `model` and writes `path`. The model is verified after each pass.
/// The bytes depend on the model and the options alone. Errors: invalid_input (the model, or no
/// usable calibration row), invalid_argument (an option), io_error, unavailable_machine (no
/// memory).
Result<Report> compile(model::Model model, const Options& options, const std::string& path);

}  // namespace tilewise::compile
