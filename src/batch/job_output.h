// What a job leaves behind: parts that are whole, the manifest that vouches for them, and, at the
// end, the mark of success. What an earlier run of the same job has left is checked and kept.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "batch/flow.h"
#include "batch/manifest.h"
#include "batch/output_directory.h"
#include "batch/part_writer.h"

namespace tilewise::batch {

class JobOutput final : public Sink {
 public:
  /// Ready for answers. `job`: settings and what else the manifest says of this run, which began at
  /// `start`. Goes on with the job whose manifest lies in the directory. `directory` must outlive
  /// it. Errors: invalid_argument where that was another job; those of read_manifest and
  /// OutputDirectory.
  static Result<JobOutput> open(OutputDirectory& directory, bool allow_other_isa, Manifest job,
                                PartWriter writer, Time start);

  Result<bool> has(int64_t part) override;
  Status skip(const PartInput& input, Progress& progress) override;
  Status write(const Chunk& chunk) override;
  Status end_part(const PartInput& input) override;

  /// After the last part: the input had these files and `parts` parts. Errors: invalid_argument
  /// where earlier runs have seen more.
  Status finish(const std::vector<rows::ReadInput>& inputs, int64_t parts);

  /// Over all runs of the job.
  double seconds() const { return earlier_seconds_ + seconds_between(start_, SteadyClock().now()); }

 private:
  JobOutput(OutputDirectory& directory, Manifest manifest, PartWriter writer, Time start)
      : directory_(&directory),
        manifest_(std::move(manifest)),
        writer_(std::move(writer)),
        earlier_seconds_(manifest_.seconds),
        start_(start) {}
  Status begin();
  Status check_is_known(int64_t part) const;
  Status write_manifest();
  Status check_input(const PartInput& input) const;

  OutputDirectory* directory_;
  Manifest manifest_;
  PartWriter writer_;
  double earlier_seconds_;
  Time start_;
  bool has_begun_ = false;     // this run has written answers
  bool was_complete_ = false;  // before that: there are no more parts than these
};

}  // namespace tilewise::batch
