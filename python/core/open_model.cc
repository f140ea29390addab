#include "open_model.h"

#include <utility>

#include <unistd.h>

#include "errors.h"

namespace nb = nanobind;

namespace tilewise::python {
namespace {

/// Whether a signal's handler raised.
bool signal_wants_end() {
  const nb::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

/// The value of a call into the library, made without the GIL. Its errors are thrown.
template <class Call>
auto while_others_run(Call call) {
  auto result = [&] {
    const nb::gil_scoped_release others_run;
    return call();
  }();
  if (PyErr_Occurred() != nullptr) throw nb::python_error();  // raised by the handler of a signal
  if (!result.ok()) raise(result.status());
  return *std::move(result);
}

}  // namespace

OpenModel::OpenModel(const std::string& path, const OpenOptions& options) : process_(getpid()) {
  model_ = while_others_run([&] { return Model::open(path, options); });
}

OpenModel::~OpenModel() {
  if (model_ && process_ != getpid()) new Model(*model_);  // never ends: nobody would answer
}

void OpenModel::check_process() const {
  if (process_ == getpid()) return;
  raise("InvalidArgumentError",
        "The model was opened in another process, of which this one is a fork (its threads are "
        "not here). Open it here, or start processes with \"spawn\".");
}

AnswerColumns OpenModel::answer(const Question& question, const Column& left,
                                const Column* right) const {
  check_process();
  ColumnOptions options;
  options.predict = {question.top, question.both_orders, question.threshold, question.full_depth};
  options.logits = question.logits;
  options.stop = signal_wants_end;
  return while_others_run([&] {
    return right == nullptr
               ? model_->predict_columns(question.task, left.content, options)
               : model_->score_columns(question.task, left.content, right->content, options);
  });
}

std::vector<float> OpenModel::run(const std::string& task, const TokenBatch& tokens) const {
  check_process();
  return while_others_run([&] { return model_->run_tokens(task, tokens, signal_wants_end); });
}

}  // namespace tilewise::python
