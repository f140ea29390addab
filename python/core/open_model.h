// A model that is open in one process.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nanobind/nanobind.h>
#include <sys/types.h>

#include <tilewise/columns.h>
#include <tilewise/tilewise.h>

#include "column.h"

namespace tilewise::python {

/// How a call wants its answers; as tilewise::ColumnOptions.
struct Question {
  std::string task;
  int32_t top = 1;
  bool both_orders = false;
  std::optional<float> threshold;
  bool logits = false;
  bool full_depth = false;
};

/// Thread-safe. Errors of all calls are thrown as exceptions of tilewise.errors.
class OpenModel {
 public:
  OpenModel(const std::string& path, const OpenOptions& options);

  /// A forked child has none of the threads, so it leaves the model as it is.
  ~OpenModel();
  OpenModel(const OpenModel&) = delete;
  OpenModel& operator=(const OpenModel&) = delete;

  const Model& model() const { return *model_; }

  /// With the GIL, which others have while the model runs. `right`: null for single texts. A signal
  /// whose handler raises (KeyboardInterrupt) ends it early.
  AnswerColumns answer(const Question& question, const Column& left, const Column* right) const;

  /// The same for token sequences: sequences x outputs floats.
  std::vector<float> run(const std::string& task, const TokenBatch& tokens) const;

 private:
  void check_process() const;

  std::optional<Model> model_;
  pid_t process_;
};

}  // namespace tilewise::python
