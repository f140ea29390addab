// tilewise batch MODEL.tw --input ... --output DIR: scores files of rows on all cores.
#include <charconv>
#include <memory>

#include <fmt/format.h>

#include "base/log.h"
#include "batch/job.h"
#include "cli/flags.h"
#include "cli/process.h"
#include "cli/progress.h"
#include "cli/sagemaker_processing.h"
#include "cli/verbs.h"
#include "rows/format.h"
#include "rows/json_writer.h"

namespace tilewise::cli {
namespace {

struct BatchFlags {
  ModelFlags model;
  TaskFlags task;
  RejectionFlag rejection;
  batch::Options job;
  std::string input_format;
  std::string output_format = "jsonl";
  std::string compression = "none";
  std::string shard = "0/1";
  bool no_scores = false;
  bool json = false;
  bool sagemaker = false;
};

/// "I/N". Whether there is such a shard is the job's to say. Errors: invalid_argument.
Result<batch::Shard> parse_shard(const std::string& text) {
  batch::Shard shard;
  const char* const end = text.data() + text.size();
  const auto index = std::from_chars(text.data(), end, shard.index);
  if (index.ec == std::errc() && index.ptr != end && *index.ptr == '/') {
    const auto count = std::from_chars(index.ptr + 1, end, shard.count);
    if (count.ec == std::errc() && count.ptr == end) return shard;
  }
  return invalid_argument({.what = "--shard names no shard",
                           .expected = "I/N with I from 0 to N - 1, as 0/4",
                           .found = text});
}

batch::Depths depths_of(const batch::Progress& progress) {
  return batch::mean_depths(progress.depths, progress.rows - progress.rejected);
}

std::string to_json(const engine::Engine& engine, const batch::Progress& progress,
                    const BatchFlags& flags, const std::string& tasks) {
  rows::JsonWriter json;
  json.begin_object().key("task").string(tasks);
  json.key("precision")
      .string(name_of(engine.metadata().precision))
      .key("isa")
      .string(engine.isa());
  json.key("replicas").integer(engine.replicas());
  json.key("cores_per_replica").integer(engine.cores_per_replica());
  json.key("rows").integer(progress.rows).key("rejected").integer(progress.rejected);
  json.key("resumed_rows").integer(progress.resumed_rows).key("reused").integer(progress.reused);
  if (progress.records > 0) {
    json.key("records").integer(progress.records);
    json.key("rejected_records").integer(progress.rejected_records);
  }
  json.key("tokens").integer(progress.tokens);
  batch::write_depth(depths_of(progress), json);
  json.key("parts").integer(progress.parts);
  json.key("seconds").number(progress.seconds);
  json.key("rows_per_s").number(rows_per_second(progress));
  json.key("tokens_per_s").number(static_cast<double>(progress.tokens) / progress.seconds);
  json.key("usd_per_million");
  const auto& price = flags.job.price;
  price ? json.number(cost_per_million(progress, *price)) : json.null();
  json.key("rss_mb").number(peak_memory_mb()).end_object();
  return json.text() + "\n";
}

void summarize(const engine::Engine& engine, const batch::Progress& progress,
               const BatchFlags& flags) {
  std::string text =
      fmt::format("{}; {} {} in {}", describe(progress), progress.parts,
                  progress.parts == 1 ? "part" : "parts", flags.job.output_directory);
  for (const batch::TaskDepth& depth : depths_of(progress)) {
    text += fmt::format("; {}: {:.2f} of {} layers", depth.task, depth.layers,
                        engine.metadata().spec.layers);
  }
  if (const auto& price = flags.job.price) {
    text +=
        fmt::format("; {:.4g} USD, {:.4g} USD per million rows at {} USD an hour",
                    progress.seconds / 3600 * *price, cost_per_million(progress, *price), *price);
  }
  log_info(text);
}

/// What the command line must say, unless SageMaker does.
Status check_given(const BatchFlags& flags, bool needs_input) {
  const char* const missing = flags.model.path.empty()                  ? "MODEL"
                              : needs_input && flags.job.inputs.empty() ? "--input"
                              : flags.job.output_directory.empty()      ? "--output"
                                                                        : nullptr;
  if (missing == nullptr) return {};
  return invalid_argument({.what = std::string(missing) + " is required",
                           .remedy = flags.sagemaker
                                         ? "Put it below /opt/ml/processing/input, or name it"
                                         : "Run 'tilewise batch --help' to see what there is"});
}

Result<int> run_batch(const BatchFlags& given, Session& session) {
  BatchFlags flags = given;
  TILEWISE_RETURN_IF_ERROR(flags.rejection.check());
  batch::Options& job = flags.job;
  TILEWISE_ASSIGN_OR_RETURN(job.shard, parse_shard(flags.shard));
  bool needs_input = true;
  if (flags.sagemaker) {
    TILEWISE_ASSIGN_OR_RETURN(const SagemakerJob here, read_sagemaker_job(sagemaker_root()));
    apply(here, flags.model.path, job);
    needs_input = !here.has_no_share;  // without a share it is a whole job of no rows
  }
  TILEWISE_RETURN_IF_ERROR(check_given(flags, needs_input));
  TILEWISE_ASSIGN_OR_RETURN(const auto engine, flags.model.open());
  TILEWISE_ASSIGN_OR_RETURN(job.tasks, flags.task.resolve(*engine));
  TILEWISE_ASSIGN_OR_RETURN(job.predict, flags.task.predict_options(*engine, job.tasks));
  job.format = flags.task.output_options();
  job.format.format = *rows::parse_format(flags.output_format);
  job.compression = *rows::parse_compression(flags.compression);
  job.input_format = rows::parse_format(flags.input_format);  // none was given: by the names
  job.write_scores = !flags.no_scores;
  catch_stop_signals();
  job.stop = stop_requested;

  ProgressDisplay display(session.informs, job.limit, job.price);
  RejectionReport rejections(display);
  const auto progress = batch::run(
      *engine, job, [&](const Status& rejected) { rejections.add(rejected); },
      [&](const batch::Progress& now) { display.show(now); });
  display.clear();
  rejections.finish();
  TILEWISE_RETURN_IF_ERROR(progress.status());
  summarize(*engine, *progress, flags);
  if (flags.json)
    TILEWISE_RETURN_IF_ERROR(session.out.write(to_json(*engine, *progress, flags, job.tasks)));
  return flags.rejection.exit_code(progress->rejected);
}

/// The reason of a failure, where SageMaker shows it.
Result<int> run_in_sagemaker(const BatchFlags& flags, Session& session) {
  Result<int> result = run_batch(flags, session);
  if (!result.ok()) {
    leave_sagemaker_message(sagemaker_root(), result.status().message());
  } else if (*result != 0) {
    leave_sagemaker_message(sagemaker_root(), "more rows were rejected than --max-rejected allows");
  }
  return result;
}

/// What goes in.
void add_input_flags(CLI::App& verb, BatchFlags& flags) {
  verb.add_option("--input", flags.job.inputs,
                  "Files, directories or globs of rows, in order; - is standard input. JSON lines, "
                  "CSV or TSV, also gzip or zstd")
      ->type_name("PATH...");
  verb.add_option("--input-format", flags.input_format,
                  "Of all inputs (default: by their names, else jsonl)")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"jsonl", "csv", "tsv"}));
  verb.add_option("--catalog", flags.job.catalogs,
                  "Records with an id; the input is pairs of ids, left_id and right_id")
      ->type_name("PATH...");
  verb.add_option("--left-catalog", flags.job.left_catalogs,
                  "Records of the left side, where each side has its own catalogue")
      ->type_name("PATH...");
  verb.add_option("--right-catalog", flags.job.right_catalogs, "Records of the right side")
      ->type_name("PATH...");
  verb.add_option("--limit", flags.job.limit, "Stop after so many input rows")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  verb.add_option("--shard", flags.shard,
                  "Only the I-th of N shares of the rows, from 0: by hash of the id, or of the row "
                  "where it has none")
      ->type_name("I/N");
  verb.add_option("--since", flags.job.since,
                  "Output directory of an earlier run: rows that did not change take its scores")
      ->type_name("DIR");
}

/// What comes out.
void add_output_flags(CLI::App& verb, BatchFlags& flags) {
  verb.add_option("--output", flags.job.output_directory,
                  "Directory of the parts: new, empty, or of this very job, which is resumed")
      ->type_name("DIR");
  verb.add_option("--output-format", flags.output_format, "jsonl (default), csv or tsv")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"jsonl", "csv", "tsv"}));
  verb.add_option("--compress", flags.compression, "The answers: none (default), gzip or zstd")
      ->type_name("HOW")
      ->check(CLI::IsMember({"none", "gzip", "zstd"}));
  verb.add_flag("--overwrite", flags.job.overwrite, "Remove what an earlier job left in DIR");
  verb.add_flag("--allow-other-isa", flags.job.allow_other_isa,
                "Go on with output, or take scores, of another instruction set");
  verb.add_flag("--no-scores", flags.no_scores,
                "Leave DIR/_scores out: no later run can take scores from this one");
  verb.add_option("--rows-per-part", flags.job.rows_per_part,
                  "Input rows that a part answers (default 100000)")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
}

}  // namespace

void add_batch(CLI::App& app, Action& action) {
  CLI::App* verb =
      app.add_subcommand("batch", "Score files of rows into DIR/part-00000.jsonl, ...; resumes");
  auto flags = std::make_shared<BatchFlags>();
  flags->model.add_to(*verb);
  verb->get_option("MODEL")->required(false);  // SageMaker may have it
  flags->task.add_to(*verb);
  add_input_flags(*verb, *flags);
  add_output_flags(*verb, *flags);
  verb->add_option("--memory", flags->job.memory_bytes,
                   "Memory that the process may use at most, beside mapped files (default 512M, or "
                   "what many replicas need)")
      ->type_name("BYTES")
      ->transform(CLI::AsSizeValue(true))
      ->check(CLI::PositiveNumber);
  verb->add_option("--price", flags->job.price,
                   "What this machine costs, for the cost of a million rows")
      ->type_name("USD_PER_HOUR")
      ->check(CLI::NonNegativeNumber);
  verb->add_flag("--json", flags->json, "The summary as one JSON object on standard output");
  verb->add_flag(
      "--sagemaker", flags->sagemaker,
      "In a container of a SageMaker Processing job: model, input, output and shard come "
      "from /opt/ml where no flag says otherwise");
  flags->rejection.add_to(*verb);
  verb->callback([&action, flags] {
    action = [flags](Session& session) {
      return (flags->sagemaker ? run_in_sagemaker : run_batch)(*flags, session);
    };
  });
}

}  // namespace tilewise::cli
