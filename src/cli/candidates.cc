// tilewise candidates MODEL.tw CATALOGUE...: which pairs of records are worth scoring.
#include "blocking/candidates.h"

#include <algorithm>
#include <fstream>
#include <memory>

#include <fmt/format.h>

#include "base/log.h"
#include "base/topology.h"
#include "cli/data_output.h"
#include "cli/flags.h"
#include "cli/process.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "rows/json_writer.h"

namespace tilewise::cli {
namespace {

constexpr const char* kUsualFields = "title,brand,price";

struct CandidatesFlags {
  ModelFlags model;
  RejectionFlag rejection;
  blocking::Options job = {.view = {.agreeing_fields = {"brand"}}};
  std::string fields = kUsualFields;
  std::string number_fields;  // empty: those of `fields`, or where that is empty the usual ones
  std::string agreeing_fields = "brand";
  bool no_keys = false, exact = false, hnsw = false;
  std::string format;
  std::string output, report;
};

/// "a,b" -> {"a", "b"}
std::vector<std::string> split(const std::string& names) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= names.size();) {
    const size_t end = std::min(names.find(',', begin), names.size());
    if (end > begin) parts.push_back(names.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// Most of what there is without taking it from others; 0 where that is not known.
int64_t usable_memory() {
  int64_t kilobytes = 0;
  std::ifstream info("/proc/meminfo");
  for (std::string name; info >> name;) {
    if (name == "MemAvailable:") info >> kilobytes;
  }
  int64_t bytes = kilobytes * 1024;
  const Result<Topology> topology = read_topology();
  if (topology.ok() && topology->cgroup_memory_bytes > 0) {
    bytes =
        bytes > 0 ? std::min(bytes, topology->cgroup_memory_bytes) : topology->cgroup_memory_bytes;
  }
  return bytes / 10 * 9;
}

Result<blocking::Options> options_of(const CandidatesFlags& flags) {
  blocking::Options job = flags.job;
  job.view.fields = split(flags.fields);
  if (!flags.no_keys) {
    const std::string& embedded = flags.fields.empty() ? kUsualFields : flags.fields;
    job.view.number_fields = split(flags.number_fields.empty() ? embedded : flags.number_fields);
    job.view.agreeing_fields = split(flags.agreeing_fields);
  }
  if (flags.exact) job.search = blocking::Search::exact;
  if (flags.hnsw) job.search = blocking::Search::hnsw;
  if (!flags.format.empty()) {
    job.format = rows::parse_format(flags.format);
    if (!job.format) {
      return invalid_argument({.what = "unknown format",
                               .where = "--input-format",
                               .expected = "jsonl, csv or tsv",
                               .found = flags.format});
    }
  }
  if (flags.report == "-" && flags.output.empty()) {
    return invalid_argument({.what = "the pairs and the report cannot both go to standard output",
                             .where = "--report -",
                             .remedy = "Give --output FILE, or --report FILE"});
  }
  if (job.memory_bytes == 0) job.memory_bytes = usable_memory();
  job.stop = stop_requested;
  return job;
}

std::string to_json(const engine::Engine& engine, const blocking::Report& report,
                    const blocking::Options& job) {
  rows::JsonWriter json;
  json.begin_object().key("left_records").integer(report.left_records);
  json.key("right_records").integer(report.right_records);
  json.key("rejected").integer(report.rejected).key("truncated").integer(report.truncated);
  json.key("top").integer(job.top).key("search").string(report.exact ? "exact" : "hnsw");
  json.key("pairs").integer(report.pairs);
  json.key("neighbour_pairs").integer(report.neighbour_pairs);
  json.key("key_pairs").integer(report.key_pairs);
  json.key("key_blocks").integer(report.keys.blocks);
  json.key("skipped_key_blocks").integer(report.keys.skipped_blocks);
  json.key("largest_key_block").integer(report.keys.largest_block);
  json.key("possible_pairs").number(report.possible_pairs);
  json.key("reduction_ratio").number(report.reduction_ratio());
  if (!job.matches.empty()) {
    json.key("matches").integer(report.matches);
    json.key("unknown_matches").integer(report.unknown_matches);
    json.key("found_matches").integer(report.found_matches);
    json.key("recall").number(report.recall());
  }
  json.key("isa").string(engine.isa()).key("replicas").integer(engine.replicas());
  json.key("read_seconds").number(report.read_seconds);
  json.key("search_seconds").number(report.search_seconds);
  json.key("seconds").number(report.seconds);
  json.key("rss_mb").number(peak_memory_mb()).end_object();
  return json.text() + "\n";
}

void summarize(const blocking::Report& report, const blocking::Options& job) {
  const int64_t records = report.left_records + report.right_records;
  log_info(fmt::format(
      "{} records in {:.2f} s ({:.2f} s embedding, {:.2f} s {} search): {} pairs, "
      "{:.4f} % of all",
      records, report.seconds, report.read_seconds, report.search_seconds,
      report.exact ? "exact" : "HNSW", report.pairs, 100 * (1 - report.reduction_ratio())));
  if (report.truncated > 0) {
    log_info(fmt::format("the text of {} records was cut", report.truncated));
  }
  if (report.keys.skipped_blocks > 0) {
    log_info(
        fmt::format("{} of {} model numbers are shared by more than {} records and make no pairs",
                    report.keys.skipped_blocks, report.keys.blocks, job.largest_block));
  }
  if (!job.matches.empty()) {
    log_info(fmt::format("{} of {} known matches are among them: recall {:.4f}",
                         report.found_matches, report.matches, report.recall()));
  }
}

Result<int> run_candidates(const CandidatesFlags& flags, Session& session) {
  TILEWISE_RETURN_IF_ERROR(flags.rejection.check());
  TILEWISE_ASSIGN_OR_RETURN(const blocking::Options job, options_of(flags));
  TILEWISE_ASSIGN_OR_RETURN(const auto engine, flags.model.open());
  catch_stop_signals();
  TILEWISE_ASSIGN_OR_RETURN(DataOutput output, DataOutput::open(session, flags.output));

  ProgressDisplay display(session.informs, 0);
  RejectionReport rejections(display);
  const auto report = blocking::find_candidates(
      *engine, job, [&](std::string_view lines) { return output.write(lines); },
      [&](const Status& rejected) { rejections.add(rejected); },
      [&](const blocking::Progress& now) {
        display.show({.rows = now.done, .seconds = now.seconds, .fraction = now.fraction});
      });
  display.clear();
  rejections.finish();
  TILEWISE_RETURN_IF_ERROR(report.status());
  TILEWISE_RETURN_IF_ERROR(output.finish());
  summarize(*report, job);
  if (!flags.report.empty()) {
    TILEWISE_RETURN_IF_ERROR(write_report(session, flags.report, to_json(*engine, *report, job)));
  }
  return flags.rejection.exit_code(report->rejected);
}

void add_catalog_flags(CLI::App& verb, CandidatesFlags& flags) {
  verb.add_option("CATALOGUE", flags.job.catalogs,
                  "Records with an id: files, directories or globs; - is standard input")
      ->type_name("");
  verb.add_option("--left-catalog", flags.job.left,
                  "Instead: pairs of a record of this catalogue with one of --right-catalog")
      ->type_name("PATH...");
  verb.add_option("--right-catalog", flags.job.right, "See --left-catalog")->type_name("PATH...");
  verb.add_option("--input-format", flags.format, "jsonl, csv or tsv (default: by the extensions)")
      ->type_name("FORMAT");
}

void add_search_flags(CLI::App& verb, CandidatesFlags& flags) {
  verb.add_option("--top", flags.job.top,
                  "Neighbours of each record (default 20); 0: only pairs that share a key")
      ->type_name("K")
      ->check(CLI::Range(0, 10000));
  verb.add_flag("--both-ways", flags.job.both_ways,
                "Two catalogues: also K neighbours of each record on the right");
  verb.add_option("--task", flags.job.view.task, "Embedding (default: the model's only one)")
      ->type_name("T");
  verb.add_option("--fields", flags.fields,
                  "What of a record is embedded, joined by spaces (default title,brand,price)")
      ->type_name("F[,F2...]");
  CLI::Option* exact =
      verb.add_flag("--exact", flags.exact, "Compare all vectors (default: while it is quick)");
  verb.add_flag("--hnsw", flags.hnsw, "Walk over a graph of neighbours (approximate)")
      ->excludes(exact);
}

void add_key_flags(CLI::App& verb, CandidatesFlags& flags) {
  verb.add_option("--keys", flags.agreeing_fields,
                  "Fields in which records that share a model number must not differ (default "
                  "brand)")
      ->type_name("F[,F2...]");
  verb.add_option("--number-fields", flags.number_fields,
                  "Fields in which model numbers are looked for (default: those of --fields)")
      ->type_name("F[,F2...]");
  verb.add_option("--largest-block", flags.job.largest_block,
                  "A model number that more records share makes no pairs (default 50)")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  verb.add_flag("--no-keys", flags.no_keys, "Neighbours alone");
}

void add_output_flags(CLI::App& verb, CandidatesFlags& flags) {
  verb.add_option("--output", flags.output,
                  "File of the id pairs, *.gz and *.zst compressed (default: standard output)")
      ->type_name("FILE");
  verb.add_option("--report", flags.report, "The summary as one JSON object; - is standard output")
      ->type_name("FILE");
  verb.add_option("--matches", flags.job.matches,
                  "Id pairs of known duplicates, to measure how many are among the pairs")
      ->type_name("FILE");
  verb.add_option("--memory", flags.job.memory_bytes,
                  "Bytes that embeddings and pairs may take: 8G (default: 90 % of what is free)")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(false));
}

}  // namespace

void add_candidates(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand(
      "candidates", "Find the pairs of a catalogue, or of two, that are worth scoring");
  auto flags = std::make_shared<CandidatesFlags>();
  flags->model.add_to(*verb);
  add_catalog_flags(*verb, *flags);
  add_search_flags(*verb, *flags);
  add_key_flags(*verb, *flags);
  add_output_flags(*verb, *flags);
  flags->rejection.add_to(*verb);
  verb->callback([&action, flags] {
    action = [flags](Session& session) { return run_candidates(*flags, session); };
  });
}

}  // namespace tilewise::cli
