// tilewise eval MODEL.tw --task T --input ROWS: how good a task's answers are on labelled rows.
#include <memory>

#include "cli/eval_report.h"
#include "cli/flags.h"
#include "cli/process.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "eval/evaluation.h"

namespace tilewise::cli {
namespace {

struct EvalFlags {
  ModelFlags model;
  TaskFlags task;
  RejectionFlag rejection;
  eval::Options options;
  bool json = false;
};

Result<int> run_eval(const EvalFlags& flags, Session& session) {
  TILEWISE_RETURN_IF_ERROR(flags.rejection.check());
  TILEWISE_ASSIGN_OR_RETURN(const auto engine, flags.model.open());
  eval::Options options = flags.options;
  TILEWISE_ASSIGN_OR_RETURN(options.task, flags.task.resolve(*engine));
  TILEWISE_ASSIGN_OR_RETURN(options.predict, flags.task.predict_options(*engine, options.task));
  catch_stop_signals();
  options.stop = stop_requested;

  ProgressDisplay display(false, 0);
  RejectionReport rejections(display);
  const auto report =
      eval::evaluate(*engine, options, [&](const Status& rejected) { rejections.add(rejected); });
  rejections.finish();
  TILEWISE_RETURN_IF_ERROR(report.status());
  TILEWISE_ASSIGN_OR_RETURN(const engine::TaskSet tasks, engine->find_tasks(options.task));
  const model::Task& task = engine->metadata().tasks[tasks.front()].task;
  TILEWISE_RETURN_IF_ERROR(
      session.out.write(flags.json ? to_json(*report, task, *engine) : describe(*report, task)));
  return flags.rejection.exit_code(report->rejected);
}

}  // namespace

void add_eval(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("eval", "How good a task's answers are on labelled rows");
  auto flags = std::make_shared<EvalFlags>();
  flags->model.add_to(*verb);
  verb->add_option("--task", flags->task.names, "One task (default: the model's only one)")
      ->type_name("T");
  verb->add_option("--threshold", flags->task.threshold,
                   "binary and multilabel: least logit, instead of the task's own")
      ->type_name("LOGIT");
  verb->add_flag("--both-orders", flags->task.both_orders,
                 "Pairs: the mean over (left, right) and (right, left)");
  flags->task.add_full_depth_to(*verb);
  verb->add_option(
          "--input", flags->options.inputs,
          "Files or directories of rows with labels, JSON lines or CSV; - is standard input")
      ->required()
      ->type_name("PATH...");
  verb->add_option("--label-field", flags->options.truth.field,
                   "Where a row's label stands (default label)")
      ->type_name("NAME");
  verb->add_option("--out-of-scope", flags->options.truth.out_of_scope,
                   "multiclass: the label of rows that belong to none of the task's (default oos)")
      ->type_name("LABEL");
  verb->add_option("--limit", flags->options.limit, "Stop after so many input rows")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  verb->add_flag("--json", flags->json, "One JSON object, described in docs/QUALITY.md");
  flags->rejection.add_to(*verb);
  verb->callback([&action, flags] {
    action = [flags](Session& session) { return run_eval(*flags, session); };
  });
}

}  // namespace tilewise::cli
