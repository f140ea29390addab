#include "open_model.h"

#include <utility>

#include <unistd.h>

#include "errors.h"

namespace nb = nanobind;

namespace tilewise::python {

OpenModel::OpenModel(const std::string& path, const OpenOptions& options) : process_(getpid()) {
  Result<Model> model = [&] {
    const nb::gil_scoped_release others_run;
    return Model::open(path, options);
  }();
  if (!model.ok()) raise(model.status());
  model_ = *std::move(model);
}

OpenModel::~OpenModel() {
  if (model_ && process_ != getpid()) new Model(*model_);  // never ends: nobody would answer
}

AnswerColumns OpenModel::answer(const Question& question, const Column& left,
                                const Column* right) const {
  if (process_ != getpid()) {
    raise("InvalidArgumentError",
          "The model was opened in another process, of which this one is a fork (its threads are "
          "not here). Open it here, or start processes with \"spawn\".");
  }
  ColumnOptions options;
  options.predict = {question.top, question.both_orders, question.threshold};
  options.logits = question.logits;
  options.stop = [] {
    const nb::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;
  };
  Result<AnswerColumns> answers = [&] {
    const nb::gil_scoped_release others_run;
    return right == nullptr
               ? model_->predict_columns(question.task, left.content, options)
               : model_->score_columns(question.task, left.content, right->content, options);
  }();
  if (PyErr_Occurred() != nullptr) throw nb::python_error();  // raised by the handler of a signal
  if (!answers.ok()) raise(answers.status());
  return *std::move(answers);
}

}  // namespace tilewise::python
