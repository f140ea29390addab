// tilewise batch MODEL.tw --input ... --output DIR: scores files of rows on all cores.
#include <memory>

#include <fmt/format.h>

#include "base/log.h"
#include "batch/job.h"
#include "cli/flags.h"
#include "cli/process.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "rows/json_writer.h"

namespace tilewise::cli {
namespace {

struct BatchFlags {
  ModelFlags model;
  TaskFlags task;
  RejectionFlag rejection;
  batch::Options job;
  std::optional<double> price;
  bool json = false;
};

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
  json.key("tokens").integer(progress.tokens).key("parts").integer(progress.parts);
  json.key("seconds").number(progress.seconds);
  json.key("rows_per_s").number(static_cast<double>(progress.rows) / progress.seconds);
  json.key("tokens_per_s").number(static_cast<double>(progress.tokens) / progress.seconds);
  json.key("usd_per_million");
  flags.price ? json.number(cost_per_million(progress, *flags.price)) : json.null();
  json.key("rss_mb").number(peak_memory_mb()).end_object();
  return json.text() + "\n";
}

void summarize(const batch::Progress& progress, const BatchFlags& flags) {
  std::string text =
      fmt::format("{}; {} {} in {}", describe(progress), progress.parts,
                  progress.parts == 1 ? "part" : "parts", flags.job.output_directory);
  if (flags.price) {
    text += fmt::format("; {:.4g} USD per million rows at {} USD an hour",
                        cost_per_million(progress, *flags.price), *flags.price);
  }
  log_info(text);
}

Result<int> run_batch(const BatchFlags& flags, Session& session) {
  TILEWISE_RETURN_IF_ERROR(flags.rejection.check());
  TILEWISE_ASSIGN_OR_RETURN(const auto engine, flags.model.open());
  batch::Options job = flags.job;
  TILEWISE_ASSIGN_OR_RETURN(job.tasks, flags.task.resolve(*engine));
  TILEWISE_ASSIGN_OR_RETURN(job.predict, flags.task.predict_options(*engine, job.tasks));
  job.format = flags.task.output_options();
  catch_stop_signals();
  job.stop = stop_requested;

  ProgressDisplay display(session.informs, job.limit);
  RejectionReport rejections(display);
  const auto progress = batch::run(
      *engine, job, [&](const Status& rejected) { rejections.add(rejected); },
      [&](const batch::Progress& now) { display.show(now); });
  display.clear();
  rejections.finish();
  TILEWISE_RETURN_IF_ERROR(progress.status());
  summarize(*progress, flags);
  if (flags.json)
    TILEWISE_RETURN_IF_ERROR(session.out.write(to_json(*engine, *progress, flags, job.tasks)));
  return flags.rejection.exit_code(progress->rejected);
}

}  // namespace

void add_batch(CLI::App& app, Action& action) {
  CLI::App* verb =
      app.add_subcommand("batch", "Score files of JSON lines into DIR/part-00000.jsonl, ...");
  auto flags = std::make_shared<BatchFlags>();
  flags->model.add_to(*verb);
  flags->task.add_to(*verb);
  verb->add_option("--input", flags->job.inputs,
                   "Files of JSON lines, in order; - is standard input")
      ->required()
      ->type_name("PATH...");
  verb->add_option("--output", flags->job.output_directory, "Directory of the parts, new or empty")
      ->required()
      ->type_name("DIR");
  verb->add_flag("--overwrite", flags->job.overwrite, "Remove the parts that are already in DIR");
  verb->add_option("--rows-per-part", flags->job.rows_per_part,
                   "Input rows that a part answers (default 100000)")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  verb->add_option("--limit", flags->job.limit, "Stop after so many input rows")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  verb->add_option("--price", flags->price,
                   "What this machine costs, for the cost of a million rows")
      ->type_name("USD_PER_HOUR")
      ->check(CLI::NonNegativeNumber);
  verb->add_flag("--json", flags->json, "The summary as one JSON object on standard output");
  flags->rejection.add_to(*verb);
  verb->callback([&action, flags] {
    action = [flags](Session& session) { return run_batch(*flags, session); };
  });
}

}  // namespace tilewise::cli
