#include "batch/since.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "batch/manifest.h"
#include "batch/output_directory.h"

namespace tilewise::batch {
namespace {

Status cannot_serve(const std::string& what, const std::string& directory, std::string expected,
                    std::string found, std::string remedy) {
  return invalid_argument({.what = what,
                           .where = "--since " + directory,
                           .expected = std::move(expected),
                           .found = std::move(found),
                           .remedy = std::move(remedy)});
}

Result<Manifest> read_complete(const Options& options) {
  const std::string& directory = options.since;
  std::error_code ignored;
  if (std::filesystem::equivalent(directory, options.output_directory, ignored)) {
    return cannot_serve("the previous run lies where this job writes", directory,
                        "another directory", options.output_directory,
                        "Give each run a directory of its own");
  }
  TILEWISE_ASSIGN_OR_RETURN(auto manifest, read_manifest(directory));
  if (!manifest) {
    return not_found({.what = "there is no previous run",
                      .where = "--since " + directory,
                      .expected = "the output directory of a batch job",
                      .remedy = "Leave --since out for the first run"});
  }
  if (manifest->complete) return *std::move(manifest);
  return cannot_serve("the previous run did not come to its end", directory, "a complete job",
                      "one that was interrupted", "Run it again to resume it");
}

/// Whether its scores are what this job would compute; a warning says why not.
bool asks_the_same(const Settings& before, const Settings& now, const std::string& directory) {
  std::vector<std::string> differing = now.differences(before);
  std::erase_if(differing, [](const std::string& name) {
    return std::ranges::find(kScoreSettings, name) == std::end(kScoreSettings);
  });
  if (differing.empty()) return true;
  log_warn("nothing is taken from " + directory + ", everything is computed: it had " +
           before.describe(differing) + ", this job has " + now.describe(differing));
  return false;
}

}  // namespace

Result<std::optional<Previous>> open_previous(const Options& options, const Settings& settings,
                                              size_t width) {
  if (options.since.empty()) return std::optional<Previous>();
  TILEWISE_ASSIGN_OR_RETURN(const Manifest before, read_complete(options));
  if (!asks_the_same(before.settings, settings, options.since)) return std::optional<Previous>();
  if (before.settings.find("isa") != settings.find("isa") && !options.allow_other_isa) {
    return cannot_serve("the previous run used another instruction set", options.since,
                        "isa " + std::string(settings.find("isa")),
                        "isa " + std::string(before.settings.find("isa")),
                        "Take the same one with --isa, or both with --allow-other-isa: scores "
                        "differ in their last bits");
  }
  if (before.settings.find("scores") != "true") {
    return cannot_serve("the previous run kept no scores", options.since,
                        "a run without --no-scores", "one with it", "Leave --since out");
  }
  PreviousRun::Options files;
  files.width = width;
  files.stop = options.stop;
  for (const PartRecord& part : before.parts) {
    files.score_files.push_back(scores_path(options.since, part.input.index));
  }
  TILEWISE_ASSIGN_OR_RETURN(PreviousRun previous, PreviousRun::open(files));
  return std::optional<Previous>({std::move(previous), before.settings});
}

}  // namespace tilewise::batch
