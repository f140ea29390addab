// The contract between a SageMaker Processing job and its container, for `tilewise batch
// --sagemaker`: which host of how many this is, where the data lie, and what is said when the work
// fails.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "batch/job.h"

namespace tilewise::cli {

/// What a container finds under /opt/ml. Paths that are not there are empty.
struct SagemakerJob {
  std::string model;                ///< the one *.tw in processing/input/model
  std::vector<std::string> inputs;  ///< all in processing/input that has none of the names below
  std::string catalog;              ///< processing/input/catalog, and so on
  std::string left_catalog;
  std::string right_catalog;
  std::string previous;          ///< processing/input/previous, or this host's directory in it
  std::string output_directory;  ///< processing/output, or this host's directory in it
  batch::Shard shard = {};       ///< 0 of 1 where SageMaker itself has shared out the input
  bool has_no_share = false;     ///< it has, and there were more hosts than objects
};

/// /opt/ml, or what TILEWISE_SAGEMAKER_ROOT says instead.
std::string sagemaker_root();

/// Reads config/resourceconfig.json, config/processingjobconfig.json (where it is there) and the
/// names in processing/input. Hosts are counted in the order of their names. Where there are
/// several, each has output directory shard-I-of-N, since all of them upload to one place. Errors:
/// not_found (no such container), invalid_input (a configuration that is not as SageMaker writes
/// it, several models, rows of which one host has all and another a part, a catalogue of which each
/// host has only a part).
Result<SagemakerJob> read_sagemaker_job(const std::string& root);

/// Fills what the command line has left empty.
void apply(const SagemakerJob& job, std::string& model, batch::Options& options);

/// Leaves "HOST: TEXT" for DescribeProcessingJob (ExitMessage): ROOT/output/message, valid UTF-8 of
/// at most 1024 bytes. A message that cannot be written is lost: the work has failed already.
void leave_sagemaker_message(const std::string& root, const std::string& text);

}  // namespace tilewise::cli
