// One running copy of a model: the forward pass, the threads that run it and the memory it needs.
// The weights are shared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/status.h"
#include "runtime/batch.h"
#include "runtime/exits.h"
#include "runtime/kernel_choice.h"
#include "runtime/team.h"
#include "runtime/weights.h"

namespace tilewise::runtime {

/// Where one task's output goes: sequences x Weights::output_width() floats, dense. The last float
/// of a task with exits is the layers that the answer took.
struct TaskOutput {
  int32_t task = 0;  ///< index into Metadata::tasks
  std::span<float> values;
  /// One a sequence: whether it asks for this task; empty: all do. A sequence does not wait for the
  /// exits of a task that it does not ask for, whose values are then nothing.
  std::span<const uint8_t> wanted = {};
};

/// The seconds a pass spent in each stage; filled only by a profiled pass.
struct StageTimes {
  double embed = 0;
  double qkv = 0;
  double attention = 0;
  double attention_output = 0;
  double norm = 0;
  double ffn_up = 0;
  double ffn_down = 0;
  double heads = 0;
  double exits = 0;  ///< their heads, their decisions, and closing up behind who leaves
};

struct PassOptions {
  bool full_depth = false;      ///< no exit is asked: every answer comes from the last layer
  StageTimes* times = nullptr;  ///< added to, if given
};

/// What a linear layer of the encoder is about to read. The rows are those of one block, and change
/// after the call.
struct LinearInput {
  int32_t layer = 0;
  const char* part = "";  ///< "qkv", "attention_output", "ffn_up" or "ffn_down", as its tensors
  const void* rows = nullptr;  ///< count x columns
  int64_t stride = 0;          ///< bytes between rows
  int32_t count = 0;
  int32_t columns = 0;
  bool is_fp32 = false;  ///< else bf16
};
using LinearObserver = std::function<void(const LinearInput&)>;

/// Not thread-safe: one pass at a time. After create() a pass allocates nothing.
class Replica {
 public:
  /// `weights` must outlive the replica. `kernels`: chosen for its precision. `poolings`: that of
  /// each task, in the order of the artifact. `team`: who shares a pass; null: the calling thread
  /// alone. Replicas that never run at the same time may have one team. Errors: unavailable_machine
  /// when there is no memory.
  static Result<Replica> create(const Weights& weights, const KernelChoice& kernels,
                                std::span<const model::Pooling> poolings,
                                std::shared_ptr<Team> team = nullptr);

  /// Runs all sequences through the backbone once and through every asked-for head. A task with
  /// exits has its answer from the first that is certain, and a sequence that has all of its
  /// answers takes no further layer. A sequence's output depends on that sequence alone, bit for
  /// bit, not on the others, not on the team, and a task's not on which others are asked for.
  /// Returns the tokens that went through a layer, summed over the layers.
  int64_t run(const Batch& batch, std::span<const TaskOutput> outputs,
              const PassOptions& options = {});

  /// From now on `observer` is called on the running thread before each linear layer of the
  /// encoder, for calibration; an empty one ends that. Meanwhile passes have full depth.
  void observe_linears(LinearObserver observer) { observer_ = std::move(observer); }

  /// Tokens that go through all layers together (so that their activations stay in the L2 cache).
  int32_t block_tokens() const { return block_tokens_; }

 private:
  /// Rows of activations or floats: where they lie and the bytes between them.
  struct Matrix {
    std::byte* data = nullptr;
    int64_t stride = 0;
    /// Each member writes its own rows, so that row operations may follow without a wait. Else
    /// rows are written by several.
    bool by_rows = false;

    std::byte* row(int64_t index) const { return data + index * stride; }
  };

  Replica(const Weights& weights, const KernelChoice& kernels,
          std::span<const model::Pooling> poolings, std::shared_ptr<Team> team);
  Status allocate();

  // Every member of the team runs all of these, each on its share.
  void run_block(const Member& me, const Batch& batch, Block block,
                 std::span<const TaskOutput> outputs, bool is_adaptive, class StageTimer& timer);
  void run_layer(const Member& me, int32_t index, int32_t sequences, int32_t tokens,
                 class StageTimer& timer);

  // The answers (replica_heads.cc), also on every member.
  bool has_answer(const TaskOutput& output, int32_t number) const;
  const Head::Exit* exit_of(const TaskOutput& output, int32_t depth) const;
  bool has_exit_after(int32_t depth, std::span<const TaskOutput> outputs) const;
  void clear_depths(std::span<const TaskOutput> outputs, int32_t sequences) const;
  void run_heads(const Member& me, std::span<const TaskOutput> outputs);
  void run_exits(const Member& me, int32_t depth, std::span<const TaskOutput> outputs);
  void pool_all(const Member& me, int32_t depth, std::span<const TaskOutput> outputs);
  int32_t list_open(const Member& me, const TaskOutput& output);
  Matrix open_rows(const Member& me, const Matrix& pooled, int32_t count) const;
  int32_t number_of(int32_t row, int32_t count) const;
  void run_head(const Member& me, const Head& head, const Matrix& pooled, int32_t rows);
  void write_answers(const Member& me, const TaskOutput& output, const Matrix& rows,
                     int32_t count) const;
  void write_certain(const Member& me, const Head::Exit& exit, const TaskOutput& output,
                     int32_t count) const;
  void close_up(const Member& me, std::span<const TaskOutput> outputs);
  void move_rows(const Member& me, const Matrix& matrix) const;

  void embed(const Member& me, const Batch& batch, Block block, int32_t tokens);
  void project_embeddings(const Member& me, int32_t tokens) const;
  void attend(const Member& me, const Layer& layer, int32_t sequences);
  void clear_columns(const Matrix& data, Range rows, int64_t first, int64_t last) const;
  void linear(const Member& me, const Linear& layer, const Matrix& input, const Matrix& output,
              int32_t rows, const Linear& next, kernels::Fused fused = kernels::Fused::none) const;
  void multiply(const Linear& layer, const Matrix& input, const Matrix& output, Range rows,
                Range panels, const void* next_weights, kernels::Fused fused) const;
  void quantize(const Linear& layer, const Matrix& input, Range rows) const;
  void linear_fp32(const Member& me, const Linear& layer, const Matrix& input, const Matrix& output,
                   int32_t rows) const;
  void activate(const Member& me, const Matrix& data, int32_t rows, int32_t columns, bool is_fp32,
                model::Activation activation, bool is_gated = false) const;
  void activate_inner(const Member& me, const Matrix& inner, int32_t rows) const;
  void add_norm(const Member& me, const Matrix& input, const Norm& norm, int32_t rows,
                bool is_first_sum = false) const;
  void norm_fp32(const Member& me, const Matrix& data, const Norm& norm, int32_t rows) const;
  void pool(const Member& me, int32_t depth, int32_t sequences, model::Pooling pooling,
            const Matrix& output) const;
  bool keeps_sums() const { return weights_->spec.norm_placement == model::NormPlacement::pre; }
  void observe(const Member& me, int32_t layer, const char* part, const Matrix& input, int32_t rows,
               int32_t columns) const;

  const Weights* weights_;
  const kernels::KernelSet* kernels_;
  const kernels::Int8KernelSet* int8_kernels_;  // null where no layer is int8
  std::vector<model::Pooling> poolings_;
  std::shared_ptr<Team> team_;
  LinearObserver observer_;
  int64_t element_bytes_ = 0;  // of an activation
  int32_t block_tokens_ = 0;
  int32_t block_sequences_ = 0;
  int32_t capacity_ = 0;  // tokens: a block, or one sequence longer than that

  AlignedBuffer memory_;     // all of the following lie in it
  Matrix embedded_;          // tokens x embedding width, where that is projected
  Matrix hidden_;            // tokens x hidden: what layers read, normalised
  Matrix sums_;              // tokens x hidden, fp32: the residual stream, unless that is hidden_
  Matrix branch_;            // tokens x hidden: attention context, feed-forward output
  Matrix wide_;              // tokens x the wider of 3 sections (Q K V) and ffn_up's outputs
  Matrix quantized_;         // tokens x the widest K, u8: the input of an int8 layer
  float* scales_ = nullptr;  // tokens: theirs
  Matrix pooled_mean_;       // sequences x hidden, fp32
  Matrix pooled_cls_;        // sequences x hidden, fp32
  Matrix dense_;             // sequences x hidden, fp32: a head's dense layer
  float* zeros_ = nullptr;   // hidden
  Matrix logits_;            // sequences x the widest head, fp32
  std::byte* scratch_ = nullptr;  // of attention, one for each member
  int64_t scratch_bytes_ = 0;
  int32_t* positions_ = nullptr;
  Packed packed_;                  // the block's sequences that have not left
  int32_t* moved_from_ = nullptr;  // sequences: their first rows before the block closed up
  int32_t* open_ = nullptr;        // those that lack the answer in question
  int32_t open_count_ = 0;
  int64_t token_layers_ = 0;  // of the pass
};

}  // namespace tilewise::runtime
