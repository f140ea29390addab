// tilewise predict MODEL.tw [TEXT...]: answers texts from the command line, or JSON lines from
// standard input.
#include <memory>

#include <unistd.h>

#include "base/log.h"
#include "batch/job.h"
#include "cli/flags.h"
#include "cli/progress.h"
#include "cli/verbs.h"

namespace tilewise::cli {
namespace {

struct PredictFlags {
  ModelFlags model;
  TaskFlags task;
  RejectionFlag rejection;
  std::vector<std::string> texts;
  int64_t limit = 0;
};

/// One input a text, or one pair of two texts.
Result<std::vector<model::Input>> inputs_of(const std::vector<std::string>& texts,
                                            const model::Task& task) {
  std::vector<model::Input> inputs;
  if (task.input == model::InputKind::text) {
    for (const std::string& text : texts) inputs.push_back(model::TextInput{text});
    return inputs;
  }
  if (texts.size() != 2) {
    return invalid_argument({.what = "task " + task.name + " takes pairs",
                             .where = "the texts on the command line",
                             .expected = "two: left and right",
                             .found = std::to_string(texts.size()),
                             .remedy = "Give many pairs as JSON lines on standard input"});
  }
  inputs.push_back(model::PairInput{texts[0], texts[1]});
  return inputs;
}

Result<int> predict_texts(engine::Engine& engine, const batch::Options& job,
                          const std::vector<std::string>& texts, Session& session) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::TaskSet set, engine.find_tasks(job.tasks));
  std::vector<const model::Task*> tasks;
  for (const int32_t index : set) tasks.push_back(&engine.metadata().tasks[index].task);
  TILEWISE_ASSIGN_OR_RETURN(const std::vector<model::Input> inputs,
                            inputs_of(texts, *tasks.front()));

  const std::vector<engine::Outcome> outcomes = engine.predict(inputs, set, job.predict);
  std::string out;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    TILEWISE_RETURN_IF_ERROR(outcomes[i].status);
    rows::append_prediction(std::to_string(i + 1), tasks, outcomes[i].predictions, job.format, out);
  }
  TILEWISE_RETURN_IF_ERROR(session.out.write(out));
  return 0;
}

Result<int> predict_rows(engine::Engine& engine, const batch::Options& job,
                         const RejectionFlag& rejection, Session& session) {
  if (isatty(STDIN_FILENO) == 1 && session.informs)
    log_info("reading JSON lines from the terminal; Ctrl-D ends them");
  // Answers on a terminal are progress enough.
  ProgressDisplay display(session.informs && isatty(STDOUT_FILENO) == 0, job.limit);
  RejectionReport rejections(display);
  const auto progress = batch::stream(
      engine, job, [&](std::string_view lines) { return session.out.write(lines); },
      [&](const Status& rejected) { rejections.add(rejected); },
      [&](const batch::Progress& now) { display.show(now); });
  display.clear();
  rejections.finish();
  TILEWISE_RETURN_IF_ERROR(progress.status());
  return rejection.exit_code(progress->rejected);
}

Result<int> run_predict(const PredictFlags& flags, Session& session) {
  TILEWISE_RETURN_IF_ERROR(flags.rejection.check());
  TILEWISE_ASSIGN_OR_RETURN(const auto engine, flags.model.open(flags.texts.empty() ? 0 : 1));
  batch::Options job{.inputs = {"-"}};
  TILEWISE_ASSIGN_OR_RETURN(job.tasks, flags.task.resolve(*engine));
  TILEWISE_ASSIGN_OR_RETURN(job.predict, flags.task.predict_options(*engine, job.tasks));
  job.format = flags.task.output_options();
  job.limit = flags.limit;
  if (!flags.texts.empty()) return predict_texts(*engine, job, flags.texts, session);
  catch_stop_signals();
  job.stop = stop_requested;
  return predict_rows(*engine, job, flags.rejection, session);
}

}  // namespace

void add_predict(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("predict", "Answer texts, or JSON lines from standard input");
  auto flags = std::make_shared<PredictFlags>();
  flags->model.add_to(*verb);
  verb->add_option("TEXT", flags->texts,
                   "Texts; for a pair task two, left and right. None: JSON lines on standard "
                   "input, {\"text\"} or "
                   "{\"left\",\"right\"}")
      ->type_name("");
  flags->task.add_to(*verb);
  verb->add_option("--limit", flags->limit, "Stop after so many rows of standard input")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  flags->rejection.add_to(*verb);
  verb->callback([&action, flags] {
    action = [flags](Session& session) { return run_predict(*flags, session); };
  });
}

}  // namespace tilewise::cli
