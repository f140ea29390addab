#include "engine/request.h"

#include "engine/head.h"
#include "engine/service.h"

namespace tilewise::engine {

std::span<const float> Request::values(size_t input, size_t task) const {
  const auto width = static_cast<size_t>(model->loaded().output_width(tasks[task]));
  return std::span(own.outputs).subspan(own.starts[task] + input * width, width);
}

void Request::predict(size_t input, size_t task, const PredictOptions& options,
                      model::Prediction& prediction) const {
  fill_prediction(model->metadata().tasks[tasks[task]].task, values(input, task), options,
                  prediction, model->metadata().spec.layers);
  prediction.truncated = truncated[input];
}

void Request::clear() {
  model.reset();
  tasks.clear();
  inputs.clear();
  token_inputs.clear();
  both_orders = false;
  full_depth = false;
  bad_inputs_alone = false;
  overlong = Overlong::refuse;
  priority = runtime::Priority::interactive;
  arrival = {};
  deadline = Time::max();
  done = nullptr;
  forget_answer();
}

void Request::forget_answer() {
  status = {};
  retry_after_seconds = 0;
  times = {};
  tokens = 0;
  cached_inputs = 0;
  truncated.clear();
  input_statuses.clear();
  wake_later = false;
}

}  // namespace tilewise::engine
