// Text in, result out: template -> tokenize -> pack -> run -> head, on one pinned replica a core.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "artifact/reader.h"
#include "base/isa.h"
#include "base/status.h"
#include "engine/loaded_model.h"
#include "model/row.h"
#include "runtime/replica.h"
#include "text/input.h"

namespace tilewise::engine {

struct Options {
  std::optional<Isa> isa =
      {};                ///< forced level; else TILEWISE_ISA from the environment; else the best
  int32_t replicas = 0;  ///< 0: as many as the cores of the cpuset and quota are enough for
  /// Cores that share each pass of a replica: more make one request faster, and all of them
  /// together somewhat slower.
  int32_t cores_per_replica = 1;
  bool pin = true;  ///< each thread to its own core
};

/// The level that the options or the environment force, if any. Errors: invalid_argument for a
/// TILEWISE_ISA that is no level.
Result<std::optional<Isa>> forced_isa(const Options& options);

struct PredictOptions {
  int32_t top = 1;  ///< labels of a multiclass answer; 0: all
  bool both_orders =
      false;  ///< pair tasks only: logits are the mean of (left, right) and (right, left)
  std::optional<float> threshold = {};  ///< on the logit, instead of the task's own
  bool full_depth = false;              ///< no task's exits are asked
};

/// The answer to one input: a prediction a task of the set, or why there is none.
struct Outcome {
  Status status;
  std::vector<model::Prediction> predictions;
};

/// What a worker spent and did, summed over its calls.
struct Counters {
  int64_t inputs = 0;
  int64_t tokens = 0;
  int64_t token_layers = 0;   ///< tokens that went through a layer: tokens x layers at full depth
  double encode_seconds = 0;  ///< template + tokenizer
  double model_seconds = 0;   ///< forward pass
};

/// What an answer depends on besides the model, its tasks and the ISA: XXH3-128 of the sequences of
/// an input. Equal keys mean equal sequences, and so equal raw outputs, bit for bit.
struct Key {
  uint64_t low = 0;
  uint64_t high = 0;
  bool operator==(const Key&) const = default;
};

using text::Side;

/// One replica and its scratch memory. Not thread-safe.
class Worker {
 public:
  /// Answers inputs[i] in outcomes[i] (resized; its memory is reused). A bad input fails alone.
  void predict(std::span<const model::Input* const> inputs, const TaskSet& tasks,
               const PredictOptions& options, std::vector<Outcome>& outcomes);

  // The same in steps, for callers that have encoded a side before or know an answer already:
  // start(), add() or add_pair() for each input, answer() for those that are known, run(), and then
  // the answers of all inputs that were added, by their number from 0.

  /// Begins a batch; what the last one left goes, its memory stays. `tasks` read their input alike.
  void start(const TaskSet& tasks, const PredictOptions& options);

  /// Errors: those of text::InputEncoder::append; nothing is added then.
  Status add(const model::Input& input);

  /// The same for a text or a pair in the caller's memory, of which nothing is copied.
  Status add(const model::ContentView& text);
  Status add_pair(const model::ContentView& left, const model::ContentView& right);

  /// A pair of sides from encode_side(), whose ids are copied. Errors: invalid_input where the
  /// tasks read no pairs or may not cut this one enough; nothing is added then.
  Status add_pair(const Side& left, const Side& right);

  /// Appends the tokens of a side (without special ones) to `ids`, at most `task.max_tokens` of
  /// them: what add_pair() needs. Returns how many there are in all, for Side::tokens. Errors:
  /// those of text::render; nothing is appended then. May be called at any time.
  Result<int64_t> encode_side(const model::Task& task, const model::Content& content,
                              std::vector<int32_t>& ids);

  /// A sequence as another tokenizer made it, with its special tokens; never cut. `types`: as many,
  /// or none for all 0. It must be one that Engine::check_tokens takes, and the batch one without
  /// PredictOptions::both_orders.
  void add_tokens(std::span<const int32_t> ids, std::span<const int32_t> types);

  /// Inputs of this batch so far.
  size_t added() const { return truncated_.size(); }

  Key key(size_t input) const;

  /// Whether the input was longer than the tasks take and was cut.
  bool truncated(size_t input) const { return truncated_[input]; }

  /// Gives the raw outputs that a run on an equal key had; the input does not go through the model.
  void answer(size_t input, std::span<const float> values);

  /// Everything that has no answer yet goes through the model.
  void run();

  /// The raw outputs after run(): logits or pooled vectors of all tasks, one task after the other,
  /// Engine::output_width() floats; the mean of both orders where that was asked for. A task with
  /// exits has the layers that its answer took behind its logits.
  std::span<const float> values(size_t input) const;

  /// The predictions that follow from values(), one a task (resized; its memory is reused).
  void fill(size_t input, std::vector<model::Prediction>& predictions) const;

  /// Token sequences instead of text, for the service and for benchmarks: the raw outputs of each
  /// task, dense. Returns Replica::run().
  int64_t run_tokens(const runtime::Batch& batch, std::span<const runtime::TaskOutput> outputs,
                     const runtime::PassOptions& options = {});

  const Counters& counters() const { return counters_; }
  void reset_counters() { counters_ = {}; }

 private:
  friend class LoadedModel;
  Worker(const artifact::Metadata& metadata, text::Tokenizer tokenizer, runtime::Replica replica);
  const model::Task& input_task() const;
  Result<Side> encode_view(const model::ContentView& content, std::vector<int32_t>& ids);
  void count_in();
  bool has_exits() const;
  const text::PackedTokens& gather();
  void scatter();

  const artifact::Metadata* metadata_;
  text::InputEncoder encoder_;
  runtime::Replica replica_;

  // The batch.
  TaskSet tasks_;
  PredictOptions options_;
  size_t orders_ = 1;          // sequences an input
  size_t width_ = 0;           // floats an input
  text::PackedTokens packed_;  // all inputs
  std::vector<bool> truncated_;
  std::vector<bool> is_answered_;
  std::vector<float> values_;  // inputs x width
  std::vector<int32_t> left_;  // of the last pair of views, or its text
  std::vector<int32_t> right_;

  // Of its pass.
  std::vector<size_t> waiting_;    // the inputs without an answer
  text::PackedTokens unanswered_;  // theirs, where that is not all
  std::vector<float> outputs_;     // one task after the other
  std::vector<runtime::TaskOutput> task_outputs_;

  mutable std::vector<int32_t> key_words_;  // of key(): its memory is reused
  Counters counters_;
};

/// An opened artifact with its replicas. Thread-safe. Destruction waits for submitted jobs.
class Engine {
 public:
  /// Errors: those of Artifact::open, runtime::bind and runtime::choose_kernels; invalid_input
  /// where there is no tokenizer that fits; unavailable_machine where a replica asks for more cores
  /// or memory than this process may use.
  static Result<std::shared_ptr<Engine>> open(const std::string& path, const Options& options = {});
  ~Engine();

  const artifact::Artifact& artifact() const;
  const artifact::Metadata& metadata() const;
  /// What runs: the kernels of the activations' precision, those of the int8 layers, and the name
  /// that reports give both (KernelChoice::isa).
  const kernels::KernelSet& kernels() const;
  const kernels::Int8KernelSet* int8_kernels() const;  ///< null where no layer is int8
  std::string isa() const;
  int32_t replicas() const;
  int32_t cores_per_replica() const;

  /// "a,b" -> a set. Errors: not_found naming the tasks that there are; invalid_argument when their
  /// inputs differ in kind or in how they are encoded (template, max_tokens, truncation), since one
  /// pass has one input.
  Result<TaskSet> find_tasks(const std::string& names) const;

  /// Whether any of them has exits, which PredictOptions::full_depth turns off.
  bool has_exits(const TaskSet& tasks) const;

  /// For token sequences from outside: what passes rely on (runtime::check_batch), and that types
  /// which the family does not have are 0. Errors: invalid_argument naming the sequence.
  Status check_tokens(const runtime::Batch& batch) const;

  /// Floats of one input's raw outputs: Worker::values().
  size_t output_width(const TaskSet& tasks) const;

  /// Runs `job` on the first replica that is free. The future carries no exception: jobs must not
  /// throw.
  std::future<void> submit(std::function<void(Worker&)> job);

  /// Splits the inputs over all replicas and waits. outcomes[i] answers inputs[i].
  std::vector<Outcome> predict(std::span<const model::Input> inputs, const TaskSet& tasks,
                               const PredictOptions& options);

 private:
  struct State;
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::engine
