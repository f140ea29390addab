// Input -> pipeline -> sink, in the order of the input, on one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/clock.h"
#include "base/status.h"
#include "batch/chunk.h"
#include "batch/job.h"
#include "batch/part_reader.h"
#include "batch/pipeline.h"

namespace tilewise::batch {

/// Where answers go. All calls come from the thread of Flow::run(), in the order of the input.
class Sink {
 public:
  virtual ~Sink() = default;

  /// Whether the part is there already, so that its rows are only read. Asked once a part.
  virtual Result<bool> has(int64_t /*part*/) { return false; }
  /// The rows of a part that is there have been read. Adds what it holds to `progress`.
  virtual Status skip(const PartInput& /*input*/, Progress& /*progress*/) { return {}; }

  /// The next answers.
  virtual Status write(const Chunk& chunk) = 0;
  /// All answers of the part have been written.
  virtual Status end_part(const PartInput& /*input*/) { return {}; }
};

class Flow {
 public:
  struct Observer {
    const std::function<void(const Status&)>& on_rejected;
    const std::function<void(const Progress&)>& on_progress;
  };

  /// `stop` may be empty. `start`: when the job began, which may be earlier. What is referred to
  /// must outlive the flow.
  Flow(engine::Engine& engine, const Question& question, PartReader reader, Sink& sink,
       const std::function<bool()>& stop, Time start);

  /// Once. Errors: those of the reader and of the sink; `interrupted` once all that was begun has
  /// been written.
  Result<Progress> run(const Observer& observer);

  /// After run(): what was read.
  const PartReader& reader() const { return reader_; }

 private:
  bool no_more_input();
  Result<bool> read(const Observer& observer);
  Result<bool> skip_parts(const Observer& observer);
  Status skip_part(const Observer& observer);
  Status next(int64_t max_rows, rows::LineReader::Chunk& chunk, rows::LineReader::Wait wait);
  Status write(const Observer& observer);
  Status end_part(const PartInput& input);
  void show(const Observer& observer, double fraction);

  PartReader reader_;
  Sink& sink_;
  const std::function<bool()>& stop_;
  int64_t chunk_rows_;
  Progress progress_;
  bool stopped_ = false;
  int64_t asked_part_ = -1;         // the last one that the sink was asked for
  rows::LineReader::Chunk unused_;  // rows that are only read
  Time start_;
  Pipeline pipeline_;  // last, so that it waits for its chunks while the reader is still there
};

}  // namespace tilewise::batch
