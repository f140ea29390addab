#include <algorithm>
#include <chrono>
#include <utility>

#include <xxhash.h>

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

}  // namespace

Worker::Worker(const artifact::Metadata& metadata, text::Tokenizer tokenizer,
               runtime::Replica replica)
    : metadata_(&metadata), encoder_(std::move(tokenizer)), replica_(std::move(replica)) {}

void Worker::predict(std::span<const model::Input* const> inputs, const TaskSet& tasks,
                     const PredictOptions& options, std::vector<Outcome>& outcomes) {
  outcomes.resize(inputs.size());
  start(tasks, options);
  for (size_t i = 0; i < inputs.size(); ++i) outcomes[i].status = add(*inputs[i]);
  run();
  size_t next = 0;
  for (Outcome& outcome : outcomes) {
    if (outcome.status.ok()) {
      fill(next++, outcome.predictions);
    } else {
      outcome.predictions.clear();
    }
  }
}

void Worker::start(const TaskSet& tasks, const PredictOptions& options) {
  tasks_ = tasks;
  options_ = options;
  orders_ = options.both_orders && input_task().input == model::InputKind::pair ? 2 : 1;
  width_ = 0;
  for (const int32_t task : tasks_) width_ += raw_width(*metadata_, task);
  packed_.clear();
  truncated_.clear();
  is_answered_.clear();
  values_.clear();
}

const model::Task& Worker::input_task() const { return metadata_->tasks[tasks_.front()].task; }

Status Worker::add(const model::Input& input) {
  const Stopwatch stopwatch(counters_.encode_seconds);
  TILEWISE_RETURN_IF_ERROR(
      encoder_.append(input_task(), input, packed_, {.both_orders = orders_ == 2}));
  count_in();
  return {};
}

Status Worker::add_pair(const Side& left, const Side& right) {
  const Stopwatch stopwatch(counters_.encode_seconds);
  TILEWISE_RETURN_IF_ERROR(
      encoder_.append_pair(input_task(), left, right, packed_, {.both_orders = orders_ == 2}));
  count_in();
  return {};
}

Status Worker::add(const model::ContentView& text) {
  TILEWISE_ASSIGN_OR_RETURN(const Side side, encode_view(text, left_));
  TILEWISE_RETURN_IF_ERROR(encoder_.append_text(input_task(), side, packed_));
  count_in();
  return {};
}

Status Worker::add_pair(const model::ContentView& left, const model::ContentView& right) {
  TILEWISE_ASSIGN_OR_RETURN(const Side left_side, encode_view(left, left_));
  TILEWISE_ASSIGN_OR_RETURN(const Side right_side, encode_view(right, right_));
  return add_pair(left_side, right_side);
}

Result<Side> Worker::encode_view(const model::ContentView& content, std::vector<int32_t>& ids) {
  const Stopwatch stopwatch(counters_.encode_seconds);
  ids.clear();
  TILEWISE_ASSIGN_OR_RETURN(const int64_t tokens, encoder_.encode_side(input_task(), content, ids));
  return Side{ids, tokens};
}

void Worker::add_tokens(std::span<const int32_t> ids, std::span<const int32_t> types) {
  packed_.ids.insert(packed_.ids.end(), ids.begin(), ids.end());
  packed_.types.insert(packed_.types.end(), types.begin(), types.end());
  packed_.types.resize(packed_.ids.size());
  packed_.offsets.push_back(static_cast<int32_t>(packed_.ids.size()));
  packed_.truncated.push_back(false);
  count_in();
}

// The input of the last sequences.
void Worker::count_in() {
  truncated_.push_back(packed_.truncated.back());
  is_answered_.push_back(false);
  values_.resize(values_.size() + width_);
  ++counters_.inputs;
}

Result<int64_t> Worker::encode_side(const model::Task& task, const model::Content& content,
                                    std::vector<int32_t>& ids) {
  const Stopwatch stopwatch(counters_.encode_seconds);
  return encoder_.encode_side(task, content, ids);
}

bool Worker::has_exits() const {
  return std::any_of(tasks_.begin(), tasks_.end(),
                     [&](int32_t task) { return !metadata_->tasks[task].task.exits.empty(); });
}

// Of all sequences of the input: where a pair is cut, the one order does not tell the other.
Key Worker::key(size_t input) const {
  const bool ignores_exits = options_.full_depth && has_exits();
  key_words_.clear();
  key_words_.push_back((truncated_[input] ? 1 : 0) + (ignores_exits ? 2 : 0));
  for (size_t s = input * orders_; s < (input + 1) * orders_; ++s) {
    const auto first = packed_.offsets[s];
    const auto last = packed_.offsets[s + 1];
    key_words_.push_back(last - first);
    key_words_.insert(key_words_.end(), packed_.ids.begin() + first, packed_.ids.begin() + last);
    key_words_.insert(key_words_.end(), packed_.types.begin() + first,
                      packed_.types.begin() + last);
  }
  const XXH128_hash_t hash =
      XXH3_128bits(key_words_.data(), key_words_.size() * sizeof(key_words_.front()));
  return {.low = hash.low64, .high = hash.high64};
}

void Worker::answer(size_t input, std::span<const float> values) {
  std::copy_n(values.begin(), width_, values_.begin() + static_cast<ptrdiff_t>(input * width_));
  is_answered_[input] = true;
}

void Worker::run() {
  const text::PackedTokens& batch = gather();
  outputs_.resize(static_cast<size_t>(batch.sequences()) * width_);
  task_outputs_.clear();
  std::span<float> rest = outputs_;
  for (const int32_t task : tasks_) {
    const size_t count = batch.sequences() * raw_width(*metadata_, task);
    task_outputs_.push_back({task, rest.first(count)});
    rest = rest.subspan(count);
  }
  run_tokens({batch.ids, batch.types, batch.offsets}, task_outputs_,
             {.full_depth = options_.full_depth});
  scatter();
}

// What has no answer yet: as it lies where that is everything.
const text::PackedTokens& Worker::gather() {
  waiting_.clear();
  for (size_t i = 0; i < added(); ++i) {
    if (!is_answered_[i]) waiting_.push_back(i);
  }
  if (waiting_.size() == added()) return packed_;
  unanswered_.clear();
  for (const size_t input : waiting_) {
    for (size_t s = input * orders_; s < (input + 1) * orders_; ++s) {
      const auto first = packed_.offsets[s];
      const auto last = packed_.offsets[s + 1];
      unanswered_.ids.insert(unanswered_.ids.end(), packed_.ids.begin() + first,
                             packed_.ids.begin() + last);
      unanswered_.types.insert(unanswered_.types.end(), packed_.types.begin() + first,
                               packed_.types.begin() + last);
      unanswered_.offsets.push_back(static_cast<int32_t>(unanswered_.ids.size()));
    }
  }
  return unanswered_;
}

// From one task after the other to one input after the other.
void Worker::scatter() {
  for (size_t w = 0; w < waiting_.size(); ++w) {
    float* to = values_.data() + waiting_[w] * width_;
    for (const runtime::TaskOutput& output : task_outputs_) {
      const size_t width = raw_width(*metadata_, output.task);
      const float* from = output.values.data() + w * orders_ * width;
      for (size_t c = 0; c < width; ++c) {
        to[c] = orders_ == 2 ? (from[c] + from[width + c]) / 2 : from[c];
      }
      to += width;
    }
  }
  is_answered_.assign(added(), true);
}

std::span<const float> Worker::values(size_t input) const {
  return std::span(values_).subspan(input * width_, width_);
}

void Worker::fill(size_t input, std::vector<model::Prediction>& predictions) const {
  predictions.resize(tasks_.size());
  std::span<const float> rest = values(input);
  for (size_t t = 0; t < tasks_.size(); ++t) {
    const size_t width = raw_width(*metadata_, tasks_[t]);
    fill_prediction(metadata_->tasks[tasks_[t]].task, rest.first(width), options_, predictions[t],
                    metadata_->spec.layers);
    predictions[t].truncated = truncated_[input];
    rest = rest.subspan(width);
  }
}

int64_t Worker::run_tokens(const runtime::Batch& batch,
                           std::span<const runtime::TaskOutput> outputs,
                           const runtime::PassOptions& options) {
  const Stopwatch stopwatch(counters_.model_seconds);
  if (batch.sequences() == 0) return 0;
  const int64_t token_layers = replica_.run(batch, outputs, options);
  counters_.tokens += static_cast<int64_t>(batch.ids.size());
  counters_.token_layers += token_layers;
  return token_layers;
}

}  // namespace tilewise::engine
