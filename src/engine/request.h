// One call of a client on its way through a Service.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "engine/engine.h"
#include "model/row.h"
#include "runtime/batcher.h"
#include "text/input.h"

namespace tilewise::engine {

class ServedModel;

/// Token ids that the client has made itself, special tokens included.
struct TokenInput {
  std::vector<int32_t> ids;
  std::vector<int32_t> types;  ///< may be empty: all 0
};

using text::Overlong;

/// Where the time of a request went, in seconds.
struct RequestTimes {
  double tokenize = 0;
  double queue = 0;    ///< from admission to the start of its first pass
  double compute = 0;  ///< from there to the end of its last pass
};

/// Plain data with an owner: who fills it, submits it, and leaves it alone and where it is until
/// `done` was called. Reusing one keeps its memory, so that a connection stops allocating. Not
/// thread-safe.
struct Request {
  // What is asked.
  std::shared_ptr<ServedModel> model;
  TaskSet tasks;                         ///< of the model; at least one, and all read input alike
  std::vector<model::Input> inputs;      ///< either these
  std::vector<TokenInput> token_inputs;  ///< or these
  bool both_orders = false;              ///< pairs: the mean of both orders
  bool full_depth = false;               ///< no task's exits are asked
  /// A bad text costs only itself: it gets its status in `input_statuses`, and no values. Else it
  /// is the status of the whole request.
  bool bad_inputs_alone = false;
  Overlong overlong = Overlong::refuse;
  runtime::Priority priority = runtime::Priority::interactive;
  Time arrival;
  Time deadline = Time::max();

  /// Called once after submit(), on the submitting thread (refused, bad, cached), the one that
  /// cancels, or a replica's. Must not throw or block. May submit or destroy the request.
  std::function<void(Request&)> done;

  // How it went; valid in done() and after it.
  Status status;                   ///< a bad input is named by its index: "inputs[3]"
  double retry_after_seconds = 0;  ///< where status is `overloaded`
  RequestTimes times;
  int64_t tokens = 0;                  ///< of all sequences
  int64_t cached_inputs = 0;           ///< answered from the cache
  std::vector<bool> truncated;         ///< one an input
  std::vector<Status> input_statuses;  ///< one an input with bad_inputs_alone, else empty
  /// Others are handed back by the same thread right after this one, and then it calls
  /// PassObserver::on_handed_back(): soon enough to wake who waits for this answer.
  bool wake_later = false;

  size_t size() const { return inputs.empty() ? token_inputs.size() : inputs.size(); }

  /// The raw output (logits, or the pooled vector) of tasks[task] for one input; both orders are
  /// joined already. A task with exits has the layers that the answer took behind its logits.
  std::span<const float> values(size_t input, size_t task) const;

  /// The same as a prediction, with probabilities and labels.
  void predict(size_t input, size_t task, const PredictOptions& options,
               model::Prediction& prediction) const;

  /// Forgets the last call but keeps the memory.
  void clear();
  /// Forgets how it went, not what was asked.
  void forget_answer();

  /// The service's own.
  struct Own {
    /// The batcher hands it back; this is the way to its request.
    struct Job : runtime::Job {
      Request* request = nullptr;
    };

    std::optional<text::InputEncoder> encoder;
    text::PackedTokens packed;   // a sequence an input, or two with both orders
    int32_t orders = 1;          // sequences an input
    std::vector<float> outputs;  // of each task: sequences x width
    std::vector<size_t> starts;  // where each task's begin
    std::vector<runtime::Work> works;
    std::vector<int32_t> sequences;  // of each work
    Job job;
  } own;
};

}  // namespace tilewise::engine
