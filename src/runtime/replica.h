// One running copy of a model: the forward pass and the memory it needs. The weights are shared.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/status.h"
#include "kernels/kernel_set.h"
#include "runtime/weights.h"

namespace tilewise::runtime {

/// Sequences packed end to end. ids must lie in the vocabulary, types under token_types, and each length in
/// [1, max_positions]: the tokenizer and its checks see to that.
struct Batch {
  std::span<const int32_t> ids;
  std::span<const int32_t> types;
  std::span<const int32_t> offsets;  ///< sequences + 1, from 0

  int32_t sequences() const { return static_cast<int32_t>(offsets.size()) - 1; }
};

/// Where one task's output goes: sequences x width floats, dense; width is the head's outputs, or hidden for an embedding.
struct TaskOutput {
  int32_t task = 0;  ///< index into Metadata::tasks
  std::span<float> values;
};

/// The seconds a pass spent in each stage; filled only by a profiled pass.
struct StageTimes {
  double embed = 0, qkv = 0, attention = 0, attention_output = 0, norm = 0, ffn_up = 0, ffn_down = 0, heads = 0;
};

/// Not thread-safe: one replica a thread. After create() a pass allocates nothing.
class Replica {
 public:
  /// `weights` and `kernels` must outlive the replica. Pooling of each task is taken from `poolings`, one a task.
  static Result<Replica> create(const Weights& weights, const kernels::KernelSet& kernels,
                                std::span<const model::Pooling> poolings);

  /// Runs all sequences through the backbone once and every asked-for head. A sequence's output depends on that sequence
  /// alone, bit for bit. `times`, if given, is added to.
  void run(const Batch& batch, std::span<const TaskOutput> outputs, StageTimes* times = nullptr);

 private:
  struct Workspace;
  Replica(const Weights& weights, const kernels::KernelSet& kernels,
          std::span<const model::Pooling> poolings);
  Status allocate();

  /// The sequences [first, last) of the batch: as many as keep the activations in the L2 cache.
  struct Block {
    int32_t first = 0;
    int32_t last = 0;
  };
  Block next_block(const Batch& batch, int32_t first) const;
  void run_block(const Batch& batch, Block block, std::span<const TaskOutput> outputs,
                 StageTimes* times);
  void run_heads(int32_t first, int32_t sequences, std::span<const TaskOutput> outputs);

  const Weights* weights_;
  const kernels::KernelSet* kernels_;
  std::vector<model::Pooling> poolings_;
  int32_t block_tokens_ = 0;
  AlignedBuffer memory_;

  // Views into memory_, row strides in bytes.
  std::byte* hidden_ = nullptr;    // block_tokens x hidden
  std::byte* branch_ = nullptr;    // block_tokens x hidden: output of a sub-layer before its norm; attention context
  std::byte* wide_ = nullptr;      // block_tokens x max(3 section, intermediate)
  std::byte* scratch_ = nullptr;   // attention
  std::byte* pooled_ = nullptr;    // block sequences x hidden, fp32
  std::byte* dense_ = nullptr;     // block sequences x hidden, fp32
  std::byte* logits_ = nullptr;    // block sequences x padded outputs, fp32
  int32_t* positions_ = nullptr;
  int32_t* offsets_ = nullptr;
  int64_t hidden_stride_ = 0, wide_stride_ = 0, pooled_stride_ = 0, logits_stride_ = 0;
};

}  // namespace tilewise::runtime
