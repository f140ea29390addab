// The batch job: rows in, parts out, in input order, on all cores, with bounded memory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "batch/depth.h"
#include "engine/engine.h"
#include "rows/format.h"
#include "rows/writer.h"

namespace tilewise::batch {

/// One of several jobs that share an input: it takes the rows whose key hashes to `index`.
struct Shard {
  int32_t index = 0;  ///< from 0
  int32_t count = 1;
};

struct Options {
  std::vector<std::string> inputs;    ///< files, directories or globs; "-" for standard input
  std::string output_directory = {};  ///< created when missing
  std::optional<rows::Format> input_format = {};            ///< else by the files' extensions
  rows::Compression compression = rows::Compression::none;  ///< of the answers
  bool overwrite = false;  ///< an earlier job's output goes; else the same job is resumed
  std::string tasks = {};  ///< "a" or "a,b"
  engine::PredictOptions predict = {};
  rows::OutputOptions format = {};
  int64_t rows_per_part = 100000;
  int64_t limit = 0;                ///< stop after so many input rows; 0: all
  std::function<bool()> stop = {};  ///< asked between chunks: true ends the job as interrupted

  /// Files of records with an id, for inputs of id pairs: one catalogue for both sides, or one a
  /// side.
  std::vector<std::string> catalogs = {};
  std::vector<std::string> left_catalogs = {};
  std::vector<std::string> right_catalogs = {};
  bool allow_other_isa = false;  ///< go on, or take scores, where another instruction set was used
  Shard shard = {};
  std::string since = {};  ///< output directory of a previous run; "": none
  /// Anonymous memory that the process may use at most; 0: 512 MB, or more where there are so many
  /// replicas that they need it.
  int64_t memory_bytes = 0;
  bool write_scores = true;          ///< DIR/_scores, for later runs with `since`
  std::optional<double> price = {};  ///< USD an hour of this machine
};

struct Progress {
  int64_t rows = 0;          ///< answered or rejected so far, by earlier runs of the job, too
  int64_t resumed_rows = 0;  ///< of them: by earlier runs
  int64_t rejected = 0;
  int64_t reused = 0;           ///< answers taken from the run that `since` names
  int64_t tokens = 0;           ///< that went through the model in this run
  Depths depths = {};           ///< of all answers
  int64_t parts = 0;            ///< whole ones
  double seconds = 0;           ///< of this run
  double fraction = -1;         ///< of the input bytes read; negative where that is not known
  double resumed_fraction = 0;  ///< of it: by earlier runs
  int64_t records = 0;          ///< of the catalogues, and how many of theirs were rejected
  int64_t rejected_records = 0;
};

/// Scores every row of the inputs into DIR/part-00000.jsonl, part-00001.jsonl, ... each of which
/// appears when it is whole and holds the answers of `rows_per_part` input rows (times the number
/// of shards), in their order. A rejected row is reported through `on_rejected` (message with file,
/// line and reason, in the order of the input), stands in DIR/rejected and leaves no answer.
/// `on_progress` is called from the calling thread after every chunk.
///
/// DIR/_manifest.json says what the job is and which parts are whole; DIR/_SUCCESS comes last. A
/// job that did not come so far goes on where it ended when it is run again, with equal bytes as
/// its result. Errors (whole parts stay, the one begun goes): an input that cannot be read, a task
/// that does not exist, a directory that holds something else or another job (see
/// Options::overwrite), an input that has changed, output that cannot be written, too little
/// memory, `interrupted`.
Result<Progress> run(engine::Engine& engine, const Options& options,
                     const std::function<void(const Status&)>& on_rejected,
                     const std::function<void(const Progress&)>& on_progress);

/// The same pipeline for any sink, given the lines of one chunk after the other: used by `tilewise
/// predict` on standard input. A chunk is what could be read without waiting, so that whoever sends
/// line by line is answered line by line. An error of `write` ends it and is returned.
Result<Progress> stream(engine::Engine& engine, const Options& options,
                        const std::function<Status(std::string_view)>& write,
                        const std::function<void(const Status&)>& on_rejected,
                        const std::function<void(const Progress&)>& on_progress);

}  // namespace tilewise::batch
