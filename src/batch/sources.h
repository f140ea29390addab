// Which files a job reads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "batch/job.h"
#include "rows/inputs.h"

namespace tilewise::batch {

/// The files that `names` stand for (rows::list_inputs), without those that the job itself has
/// written: its output may lie in a directory that it reads. Errors: those of list_inputs;
/// invalid_argument where a file of the output is named itself.
Result<std::vector<rows::InputFile>> list_sources(const std::vector<std::string>& names,
                                                  std::optional<rows::Format> format,
                                                  const std::string& output_directory);

/// Errors: invalid_argument where standard input is named twice among rows and catalogues, since
/// only one of them would get any.
Status check_standard_input(const Options& options);

}  // namespace tilewise::batch
