// The model's forward pass in fp32, with some linear layers computing what they would in int8: what
// calibration measures with. On the portable kernels, so that every x86-64 processor measures the
// same. Private to this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "artifact/reader.h"
#include "base/aligned_buffer.h"
#include "base/status.h"
#include "compile/draft.h"
#include "compile/quantize.h"
#include "kernels/kernel_set.h"
#include "runtime/replica.h"
#include "runtime/weights.h"

namespace tilewise::compile {

/// Token sequences of one task.
struct TaskTokens {
  int32_t task = 0;  ///< index into Metadata::tasks
  std::vector<int32_t> ids;
  std::vector<int32_t> types;
  std::vector<int32_t> offsets = {0};

  int32_t sequences() const { return static_cast<int32_t>(offsets.size()) - 1; }
};

/// A linear layer's weights as the simulation's kernels want them.
struct SimulatedLinear {
  std::vector<std::byte> storage;
  const void* panels = nullptr;  ///< fp32, 64-byte aligned: the exact ones, or in `storage`
  const void* exact_panels = nullptr;
  int32_t inputs = 0;
  int32_t outputs = 0;
  bool is_int8 = false;
  InputQuantization input;
};

class Simulation {
 public:
  /// `draft` is fp32 and has its tokenizer's tables; it is not changed, and not needed afterwards.
  static Result<Simulation> create(Draft& draft);

  /// From now on layer `index` (of artifact::linear_layers) computes in int8, or in fp32 again.
  void set_int8(size_t index, const Int8Linear& linear);
  void set_fp32(size_t index);

  /// The outputs of each task for its sequences: logits, or the vectors of an embedding. One thread
  /// a core; the result does not depend on how many. `observer`, if given, sees every linear
  /// layer's input, on one thread and in one order.
  Result<std::vector<std::vector<float>>> run(std::span<const TaskTokens> tasks,
                                              const runtime::LinearObserver& observer = {}) const;

  /// The outputs of one layer, without activation, for `rows` of inputs (dense): [rows, outputs].
  std::vector<float> outputs_of(size_t index, std::span<const float> rows) const;

 private:
  Simulation() = default;
  AlignedBuffer bytes_;
  std::shared_ptr<const artifact::Artifact> artifact_;
  runtime::Weights weights_;
  kernels::KernelSet kernels_;
  std::vector<std::unique_ptr<SimulatedLinear>> linears_;
  std::unique_ptr<SimulatedLinear> projection_;  ///< of the embeddings: never int8
  std::vector<runtime::Linear> bound_;           ///< each linear layer's sizes and bias
};

}  // namespace tilewise::compile
