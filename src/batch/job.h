// The batch job: rows in, parts out, in input order, on all cores, with bounded memory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"
#include "rows/writer.h"

namespace tilewise::batch {

struct Options {
  std::vector<std::string> inputs;  ///< JSON-lines files, "-" for standard input
  std::string output_directory;     ///< created when missing
  std::string tasks;                ///< "a" or "a,b"
  engine::PredictOptions predict;
  rows::OutputOptions format;
  int64_t rows_per_part = 100000;
  int64_t limit = 0;                ///< stop after so many input rows; 0: all
};

struct Progress {
  int64_t rows = 0;      ///< read so far, good and rejected
  int64_t rejected = 0;
  int64_t tokens = 0;
  int64_t parts = 0;
  double seconds = 0;
};

/// Scores every row of the inputs into DIR/part-00000.jsonl, part-00001.jsonl, ... each written beside and renamed when whole.
/// A rejected row is reported through `on_rejected` (message with file, line and reason) and leaves no line.
/// `on_progress` is called from the calling thread after every chunk. Errors: an input that cannot be read, a task that does
/// not exist, output that cannot be written (parts already complete stay).
Result<Progress> run(engine::Engine& engine, const Options& options,
                     const std::function<void(const Status&)>& on_rejected,
                     const std::function<void(const Progress&)>& on_progress);

/// The same pipeline for any sink: used by `tilewise predict` on standard input.
Result<Progress> stream(engine::Engine& engine, const Options& options,
                        const std::function<Status(std::string_view)>& write,
                        const std::function<void(const Status&)>& on_rejected,
                        const std::function<void(const Progress&)>& on_progress);

}  // namespace tilewise::batch
