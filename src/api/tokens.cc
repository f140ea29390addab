// Token sequences in, raw outputs out: the sequences go to the replicas in shares of about as many
// tokens, and each share writes its rows of the result.
#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include <tilewise/tilewise.h>

#include "api/model_state.h"
#include "api/shares.h"
#include "engine/engine.h"

namespace tilewise {
namespace {

/// Tokens: enough that a pass is full, few enough that all replicas end together.
constexpr int32_t kLargestShare = 2048;

/// What all shares of a call have in common. Outlives them.
struct Call {
  engine::TaskSet tasks;  // one
  runtime::Batch batch;
  size_t width;  // floats of an answer
  std::vector<float>& outputs;
};

/// The sequences [first, last) on their way to outputs, which a replica's thread computes.
class Share {
 public:
  Share(const Call& call, int32_t first, int32_t last) : call_(call), first_(first), last_(last) {}

  /// Does not throw.
  void answer(engine::Worker& worker) {
    try {
      add(worker);
      worker.run();
      collect(worker);
    } catch (const std::exception& error) {
      failure_ = api::no_memory("sequence " + std::to_string(first_), error);
    }
  }

  const Status& failure() const { return failure_; }

 private:
  void add(engine::Worker& worker) const {
    const auto& [ids, types, offsets] = call_.batch;
    worker.start(call_.tasks,
                 {.full_depth = true});  // the logits of the last layer, as in training
    for (int32_t s = first_; s < last_; ++s) {
      const auto begin = static_cast<size_t>(offsets[s]);
      const auto length = static_cast<size_t>(offsets[s + 1]) - begin;
      worker.add_tokens(ids.subspan(begin, length),
                        types.empty() ? types : types.subspan(begin, length));
    }
  }

  void collect(const engine::Worker& worker) const {
    std::vector<model::Prediction> predictions;
    auto to = call_.outputs.begin() + static_cast<ptrdiff_t>(first_ * call_.width);
    for (int32_t s = first_; s < last_; ++s) {
      worker.fill(static_cast<size_t>(s - first_), predictions);
      const model::Prediction& answer = predictions.front();
      const auto& values = answer.embedding.empty() ? answer.logits : answer.embedding;
      to = std::copy(values.begin(), values.end(), to);
    }
  }

  const Call& call_;
  int32_t first_;
  int32_t last_;
  Status failure_;
};

/// `zeros` is the memory of types that are not given. Errors: those of Engine::check_tokens.
Result<runtime::Batch> to_runtime(const TokenBatch& batch, const engine::Engine& engine,
                                  std::vector<int32_t>& zeros) {
  const std::span<const int32_t> offsets(batch.offsets, static_cast<size_t>(batch.sequences) + 1);
  if (offsets.back() < 0) {
    return invalid_argument({.what = "The offsets of a token batch do not ascend",
                             .where = "token batch",
                             .expected = "0 or more",
                             .found = std::to_string(offsets.back()),
                             .remedy = {}});
  }
  const auto tokens = static_cast<size_t>(offsets.back());
  if (batch.types == nullptr) zeros.resize(tokens);
  const runtime::Batch converted{
      {batch.ids, tokens}, {batch.types == nullptr ? zeros.data() : batch.types, tokens}, offsets};
  TILEWISE_RETURN_IF_ERROR(engine.check_tokens(converted));
  return converted;
}

Status answer(engine::Engine& engine, const Call& call, const api::Stop& stop) {
  const runtime::Batch& batch = call.batch;
  const int32_t replicas = engine.replicas();
  const auto tokens = static_cast<int64_t>(batch.ids.size());
  const int64_t most = std::clamp<int64_t>((tokens + replicas - 1) / replicas, 1, kLargestShare);
  int32_t next_sequence = 0;
  const auto next = [&]() -> std::unique_ptr<Share> {
    const int32_t first = next_sequence;
    while (next_sequence < batch.sequences() &&
           batch.offsets[next_sequence] - batch.offsets[first] < most) {
      ++next_sequence;
    }
    return first == next_sequence ? nullptr : std::make_unique<Share>(call, first, next_sequence);
  };
  return api::answer_shares<Share>(engine, stop, next,
                                   [](Share& share) { return share.failure(); });
}

}  // namespace

Result<std::vector<float>> Model::run_tokens(const std::string& task, const TokenBatch& batch,
                                             const std::function<bool()>& stop) const {
  engine::Engine& engine = *state_->engine;
  const artifact::Metadata& metadata = engine.metadata();
  TILEWISE_ASSIGN_OR_RETURN(const int32_t index, api::find_task(metadata, task));
  std::vector<float> outputs;
  if (batch.sequences <= 0) return outputs;
  try {
    std::vector<int32_t> zeros;
    TILEWISE_ASSIGN_OR_RETURN(const runtime::Batch tokens, to_runtime(batch, engine, zeros));
    const auto width = static_cast<size_t>(api::outputs_of(metadata, index));
    outputs.resize(static_cast<size_t>(batch.sequences) * width);
    TILEWISE_RETURN_IF_ERROR(answer(engine, {{index}, tokens, width, outputs}, stop));
  } catch (const std::bad_alloc& error) {
    return api::no_memory(task, error);
  }
  return outputs;
}

}  // namespace tilewise
