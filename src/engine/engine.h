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
  double encode_seconds = 0;  ///< template + tokenizer
  double model_seconds = 0;   ///< forward pass
};

/// One replica and its scratch memory. Not thread-safe.
class Worker {
 public:
  /// Answers inputs[i] in outcomes[i] (resized; its memory is reused). A bad input fails alone.
  void predict(std::span<const model::Input* const> inputs, const TaskSet& tasks,
               const PredictOptions& options, std::vector<Outcome>& outcomes);

  /// Token sequences instead of text, for benchmarks and the token-level API: logits (or
  /// embeddings) of one task, dense.
  void run_tokens(const runtime::Batch& batch, std::span<const runtime::TaskOutput> outputs,
                  runtime::StageTimes* times = nullptr);

  const Counters& counters() const { return counters_; }
  void reset_counters() { counters_ = {}; }

 private:
  friend class LoadedModel;
  Worker(const artifact::Metadata& metadata, text::Tokenizer tokenizer, runtime::Replica replica);
  void encode(std::span<const model::Input* const> inputs, const TaskSet& tasks,
              const PredictOptions& options, std::vector<Outcome>& outcomes);

  const artifact::Metadata* metadata_;
  text::InputEncoder encoder_;
  runtime::Replica replica_;
  text::PackedTokens packed_;
  std::vector<int32_t> owners_;  // packed sequence -> input
  std::vector<std::vector<float>> values_;
  std::vector<runtime::TaskOutput> task_outputs_;
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
