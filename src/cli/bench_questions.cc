#include "cli/bench_questions.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace tilewise::cli {
namespace {

constexpr size_t kCheckedRows = 100;
/// Of another machine or precision a few labels may differ, and scores in their first digits.
constexpr double kLeastAgreement = 0.9;
constexpr double kForeignTolerance = 0.1;

/// The engine's answers, and which inputs it had to cut.
Status expect_answers(engine::Engine& engine, const BenchQuestion& question, Questions& questions) {
  std::vector<const model::Input*> inputs;
  for (const model::Input& input : questions.inputs) inputs.push_back(&input);
  std::vector<engine::Outcome> outcomes;
  engine
      .submit([&](engine::Worker& worker) {
        worker.predict(inputs, question.set, question.predict, outcomes);
      })
      .wait();
  const model::Task& task = engine.metadata().tasks[question.set.front()].task;
  for (const engine::Outcome& outcome : outcomes) {
    TILEWISE_RETURN_IF_ERROR(outcome.status);
    questions.truncated.push_back(outcome.predictions.front().truncated);
    if (questions.expected.size() < kCheckedRows) {
      questions.expected.push_back(expected_answer(task, outcome.predictions.front()));
    }
  }
  return {};
}

}  // namespace

void Questions::address(const client::Url& url, double deadline_ms) {
  form.url = url;
  form.deadline_ms = deadline_ms;
  requests.clear();
  for (size_t i = 0; i < inputs.size(); ++i) {
    requests.push_back(make_request(form, inputs[i], !truncated.empty() && truncated[i]));
  }
}

Result<Questions> ask_with_model(engine::Engine& engine, const BenchQuestion& question,
                                 const Workload& workload, uint64_t seed) {
  Questions questions;
  const model::Task& task = engine.metadata().tasks[question.set.front()].task;
  questions.form = {.model = task.name,
                    .output = output_for(task),
                    .both_orders = question.predict.both_orders,
                    .full_depth = question.predict.full_depth};
  for (const size_t row : shuffled(workload.inputs.size(), seed)) {
    questions.inputs.push_back(workload.inputs[row]);
    questions.flops.push_back(workload.input_flops[row]);
    questions.tokens.push_back(workload.input_tokens[row]);
    if (!task.exits.empty()) questions.depths.push_back(workload.input_depths[row]);
  }
  TILEWISE_RETURN_IF_ERROR(expect_answers(engine, question, questions));
  return questions;
}

Result<Questions> ask_without_model(const std::vector<std::string>& paths, int64_t limit,
                                    RequestForm form, uint64_t seed) {
  TILEWISE_ASSIGN_OR_RETURN(std::vector<model::Input> inputs, read_inputs(paths, limit));
  Questions questions;
  questions.form = std::move(form);
  questions.form.output = output_for(inputs.front());
  for (const size_t row : shuffled(inputs.size(), seed)) {
    questions.inputs.push_back(std::move(inputs[row]));
  }
  return questions;
}

Result<std::string> check_answers(const Questions& questions, bool is_ours) {
  const size_t count = std::min(kCheckedRows, questions.requests.size());
  size_t same = 0;
  for (size_t i = 0; i < count; ++i) {
    TILEWISE_ASSIGN_OR_RETURN(const client::Response response,
                              client::send_once(questions.form.url, questions.requests[i]));
    TILEWISE_ASSIGN_OR_RETURN(const Answer answer, read_answer(response, questions.form.output));
    if (i >= questions.expected.size()) continue;
    const Answer& expected = questions.expected[i];
    if (agree(expected, answer, is_ours ? 0 : kForeignTolerance)) {
      ++same;
    } else if (is_ours) {
      return io_error({.what = "the server answers differently from the engine",
                       .where = fmt::format("request {}, output {}", i, questions.form.output),
                       .expected = describe(expected),
                       .found = describe(answer)});
    }
  }
  if (questions.expected.empty()) return fmt::format("{} answers have the right form", count);
  if (static_cast<double>(same) < kLeastAgreement * static_cast<double>(count)) {
    return io_error(
        {.what = "the server answers differently from the model",
         .where = questions.form.url.host + ":" + questions.form.url.port,
         .expected = fmt::format("at least {:.0f} % of the answers alike", 100 * kLeastAgreement),
         .found = fmt::format("{} of {}", same, count)});
  }
  return is_ours ? fmt::format("{} answers equal the engine's", same)
                 : fmt::format("{} of {} answers are the model's", same, count);
}

}  // namespace tilewise::cli
