#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/engine.h"
#include "engine/head.h"

namespace tilewise::engine {
namespace {

class Stopwatch {
 public:
  explicit Stopwatch(double& total) : total_(total), start_(std::chrono::steady_clock::now()) {}
  ~Stopwatch() {
    total_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& total_;
  std::chrono::steady_clock::time_point start_;
};

size_t output_width(const artifact::Metadata& metadata, int32_t task) {
  const model::Task& description = metadata.tasks[task].task;
  return description.kind == model::TaskKind::embedding ? metadata.spec.hidden
                                                        : description.outputs();
}

/// How many sequences one input becomes.
int32_t orders_of(const model::Task& task, const PredictOptions& options) {
  return options.both_orders && task.input == model::InputKind::pair ? 2 : 1;
}

}  // namespace

Worker::Worker(const artifact::Metadata& metadata, text::Tokenizer tokenizer,
               runtime::Replica replica)
    : metadata_(&metadata), encoder_(std::move(tokenizer)), replica_(std::move(replica)) {}

void Worker::predict(std::span<const model::Input* const> inputs, const TaskSet& tasks,
                     const PredictOptions& options, std::vector<Outcome>& outcomes) {
  outcomes.resize(inputs.size());
  encode(inputs, tasks, options, outcomes);

  values_.resize(tasks.size());
  task_outputs_.clear();
  for (size_t t = 0; t < tasks.size(); ++t) {
    values_[t].resize(packed_.sequences() * output_width(*metadata_, tasks[t]));
    task_outputs_.push_back({tasks[t], values_[t]});
  }
  run_tokens({packed_.ids, packed_.types, packed_.offsets}, task_outputs_);
  counters_.inputs += static_cast<int64_t>(inputs.size());

  const int32_t orders = orders_of(metadata_->tasks[tasks.front()].task, options);
  for (int32_t s = 0; s < packed_.sequences();) {
    Outcome& outcome = outcomes[owners_[s]];
    for (size_t t = 0; t < tasks.size(); ++t) {
      const size_t width = output_width(*metadata_, tasks[t]);
      const std::span<float> values(values_[t].data() + s * width, width);
      if (orders == 2) {
        for (size_t i = 0; i < width; ++i)
          values[i] = (values[i] + *(values.data() + width + i)) / 2;
      }
      model::Prediction& prediction = outcome.predictions[t];
      fill_prediction(metadata_->tasks[tasks[t]].task, values, options, prediction);
      prediction.truncated = packed_.truncated[s];
    }
    s += orders;
  }
}

// Packs what can be encoded; an input that cannot gets its Status and no sequence.
void Worker::encode(std::span<const model::Input* const> inputs, const TaskSet& tasks,
                    const PredictOptions& options, std::vector<Outcome>& outcomes) {
  const Stopwatch stopwatch(counters_.encode_seconds);
  const model::Task& task = metadata_->tasks[tasks.front()].task;
  packed_.clear();
  owners_.clear();
  for (size_t i = 0; i < inputs.size(); ++i) {
    Outcome& outcome = outcomes[i];
    outcome.status = encoder_.append(task, *inputs[i], packed_);
    if (outcome.status.ok() && orders_of(task, options) == 2) {
      outcome.status = encoder_.append(task, *inputs[i], packed_, {.swap = true});
    }
    outcome.predictions.resize(outcome.status.ok() ? tasks.size() : 0);
    owners_.resize(packed_.sequences(), static_cast<int32_t>(i));
  }
}

void Worker::run_tokens(const runtime::Batch& batch, std::span<const runtime::TaskOutput> outputs,
                        runtime::StageTimes* times) {
  const Stopwatch stopwatch(counters_.model_seconds);
  counters_.tokens += static_cast<int64_t>(batch.ids.size());
  if (batch.sequences() > 0) replica_.run(batch, outputs, times);
}

}  // namespace tilewise::engine
