// Labelled rows -> answers -> quality.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"
#include "eval/quality.h"
#include "eval/truth.h"

namespace tilewise::eval {

struct Options {
  std::vector<std::string> inputs;  ///< files, directories or globs; "-" for standard input
  std::string task;                 ///< one
  engine::PredictOptions predict = {};
  TruthParser::Options truth = {};
  int64_t limit = 0;  ///< stop after so many input rows; 0: all
  std::function<bool()> stop = {};
};

struct Report {
  int64_t rows = 0;                        ///< that were answered and compared
  int64_t rejected = 0;                    ///< without a usable input or label
  int64_t truncated = 0;                   ///< of the rows: text was cut
  double seconds = 0;                      ///< of reading and answering
  std::optional<DepthQuality> depth = {};  ///< where the task has exits
  Quality quality;
};

/// Answers all rows on all replicas and compares; what an exit has answered is asked at full depth,
/// too, to see whether the decision is the same. A row that cannot be used is reported through
/// `on_rejected`, in the order of the input. Errors: those of the reader; not_found for the task;
/// invalid_argument for several or for an embedding; invalid_input where no row is left;
/// interrupted.
Result<Report> evaluate(engine::Engine& engine, const Options& options,
                        const std::function<void(const Status&)>& on_rejected);

}  // namespace tilewise::eval
