// A checkpoint becomes an artifact: the passes, in order, on one page (compile.cc).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "checkpoint/checkpoint.h"
#include "model/model.h"
#include "model/precision.h"

namespace tilewise::compile {

struct Options {
  model::Precision precision = model::Precision::bf16;
  std::vector<std::string>
      disabled_passes;  ///< for debugging; only passes that may be skipped ("merge_adapter"...)
};

/// What one pass did.
struct PassReport {
  std::string name;
  double seconds = 0;
  std::string detail;  ///< "36 updates of rank 32 merged"
};

struct Report {
  std::vector<PassReport> passes;
  size_t artifact_bytes = 0;
};

/// Loads checkpoint and tokenizer together and checks that they fit each other.
Result<model::Model> load_model(const checkpoint::Source& source);

/// Runs the passes over `model` and writes `path`. The model is verified after each pass.
/// The bytes depend on the model and the options alone.
Result<Report> compile(model::Model model, const Options& options, const std::string& path);

}  // namespace tilewise::compile
