// Whether, and how, a previous run's scores serve this one.
#pragma once

#include <optional>

#include "base/status.h"
#include "batch/job.h"
#include "batch/previous_run.h"
#include "batch/settings.h"

namespace tilewise::batch {

struct Previous {
  PreviousRun run;
  Settings settings;  ///< that it had
};

/// The run in the directory `options.since`; nullopt where none is named, or where it asked another
/// model, other tasks, other orders or another depth: a warning says so, and everything is
/// computed. Errors: not_found where no batch job lies there; invalid_argument where it is not
/// complete, has no scores, used another instruction set (unless the options allow that) or is this
/// job itself; those of read_manifest and PreviousRun::open.
Result<std::optional<Previous>> open_previous(const Options& options, const Settings& settings,
                                              size_t width);

}  // namespace tilewise::batch
