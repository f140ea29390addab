// tilewise clusters SCORED...: joins pairs that match into groups.
#include "blocking/clusters.h"

#include <memory>

#include <fmt/format.h>

#include "base/log.h"
#include "cli/data_output.h"
#include "cli/flags.h"
#include "cli/process.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "rows/json_writer.h"

namespace tilewise::cli {
namespace {

struct ClustersFlags {
  blocking::ClusterOptions job;
  RejectionFlag rejection;
  std::string output, report;
};

/// "2", "3-4", "5-8"...: what ClusterReport::sizes counts.
std::string size_range(size_t bucket) {
  const size_t most = size_t{2} << bucket;
  return bucket == 0 ? "2" : fmt::format("{}-{}", most / 2 + 1, most);
}

void write_groups(const std::vector<blocking::GroupSummary>& groups, rows::JsonWriter& json) {
  json.begin_array();
  for (const blocking::GroupSummary& group : groups) {
    json.begin_object().key("id").string(group.id).key("size").integer(group.size);
    json.key("weakest").float32(group.weakest).key("density").number(group.density).end_object();
  }
  json.end_array();
}

std::string to_json(const blocking::ClusterReport& report) {
  rows::JsonWriter json;
  json.begin_object().key("rows").integer(report.rows).key("rejected").integer(report.rejected);
  json.key("matches").integer(report.matches).key("groups").integer(report.groups);
  json.key("records").integer(report.records).key("singles").integer(report.singles);
  json.key("sizes").begin_object();
  for (size_t i = 0; i < report.sizes.size(); ++i) {
    json.key(size_range(i)).integer(report.sizes[i]);
  }
  json.end_object().key("largest");
  write_groups(report.largest, json);
  json.key("loose").integer(report.loose).key("loosest");
  write_groups(report.loosest, json);
  json.key("seconds").number(report.seconds).key("rss_mb").number(peak_memory_mb()).end_object();
  return json.text() + "\n";
}

void summarize(const blocking::ClusterReport& report) {
  log_info(fmt::format("{} rows, {} matches: {} groups of {} records in {:.2f} s", report.rows,
                       report.matches, report.groups, report.records, report.seconds));
  std::string sizes;
  for (size_t i = 0; i < report.sizes.size(); ++i) {
    if (report.sizes[i] == 0) continue;
    sizes += fmt::format("{}{} of {}", sizes.empty() ? "" : ", ", report.sizes[i], size_range(i));
  }
  if (report.groups > 0) {
    const blocking::GroupSummary& largest = report.largest.front();
    log_info(fmt::format("groups by size: {}; the largest, of {}, is that of {}", sizes,
                         largest.size, largest.id));
  }
  if (report.loose == 0) return;
  const blocking::GroupSummary& loosest = report.loosest.front();
  log_warn(
      fmt::format("{} groups look like chains: fewer than half of their pairs match. In that of "
                  "{} ({} records) {:.0f} % do; a --threshold over {:.4g} would split it",
                  report.loose, loosest.id, loosest.size, 100 * loosest.density, loosest.weakest));
}

Result<int> run_clusters(const ClustersFlags& flags, Session& session) {
  TILEWISE_RETURN_IF_ERROR(flags.rejection.check());
  if (flags.report == "-" && flags.output.empty()) {
    return invalid_argument({.what = "the groups and the report cannot both go to standard output",
                             .where = "--report -",
                             .remedy = "Give --output FILE, or --report FILE"});
  }
  catch_stop_signals();
  TILEWISE_ASSIGN_OR_RETURN(DataOutput output, DataOutput::open(session, flags.output));
  blocking::ClusterOptions job = flags.job;
  job.stop = stop_requested;

  ProgressDisplay display(false, 0);
  RejectionReport rejections(display);
  const auto report = blocking::find_clusters(
      job, [&](std::string_view lines) { return output.write(lines); },
      [&](const Status& rejected) { rejections.add(rejected); });
  rejections.finish();
  TILEWISE_RETURN_IF_ERROR(report.status());
  TILEWISE_RETURN_IF_ERROR(output.finish());
  summarize(*report);
  if (!flags.report.empty()) {
    TILEWISE_RETURN_IF_ERROR(write_report(session, flags.report, to_json(*report)));
  }
  return flags.rejection.exit_code(report->rejected);
}

}  // namespace

void add_clusters(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("clusters", "Join scored pairs that match into groups");
  auto flags = std::make_shared<ClustersFlags>();
  blocking::ClusterOptions& job = flags->job;
  verb->add_option("SCORED", job.scored,
                   "Output of 'tilewise batch': directories, files or globs; - is standard input")
      ->required()
      ->type_name("");
  verb->add_option("--task", job.answers.task, "Whose answers, where rows hold those of several")
      ->type_name("T");
  verb->add_option("--threshold", job.answers.threshold,
                   "Least score of a match, a probability (default: rows that have the label)")
      ->type_name("P");
  verb->add_option(
          "--pairs", job.pairs,
          "The id pairs that were scored, in the same order, where ids of rows do not tell "
          "(ids with a ~)")
      ->type_name("PATH...");
  verb->add_option("--catalog", job.catalogs,
                   "Records that become groups of one where nothing matches them")
      ->type_name("PATH...");
  verb->add_flag("--two-catalogs", job.two_catalogs,
                 "Left and right ids are those of different catalogues");
  verb->add_option("--output", flags->output,
                   "File of the groups, *.gz and *.zst compressed (default: standard output)")
      ->type_name("FILE");
  verb->add_option("--report", flags->report,
                   "The summary as one JSON object; - is standard output")
      ->type_name("FILE");
  flags->rejection.add_to(*verb);
  verb->callback([&action, flags] {
    action = [flags](Session& session) { return run_clusters(*flags, session); };
  });
}

}  // namespace tilewise::cli
