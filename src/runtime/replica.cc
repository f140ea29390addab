#include "runtime/replica.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>

#include "kernels/pack.h"

namespace tilewise::runtime {

using kernels::Fused;
using model::Activation;
using model::Pooling;

/// Adds the time since the last mark to a stage; does nothing when nobody asked.
class StageTimer {
 public:
  explicit StageTimer(StageTimes* times) : times_(times) {
    if (times_ != nullptr) last_ = std::chrono::steady_clock::now();
  }
  void mark(double StageTimes::* stage) {
    if (times_ == nullptr) return;
    const auto now = std::chrono::steady_clock::now();
    times_->*stage += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

 private:
  StageTimes* times_;
  std::chrono::steady_clock::time_point last_;
};

// ---------------------------------------------------------------------------------------------------------------------
// The forward pass (Devlin et al. 2018: post-norm, learned positions)

void Replica::run(const Batch& batch, std::span<const TaskOutput> outputs, StageTimes* times) {
  kernels_->begin_pass();
  if (int8_kernels_ != nullptr) int8_kernels_->begin_pass();
  for (int32_t first = 0; first < batch.sequences();) {
    const Block block = next_block(batch, first);
    run_block(batch, block, outputs, times);
    first = block.last;
  }
  if (int8_kernels_ != nullptr) int8_kernels_->end_pass();
  kernels_->end_pass();
}

void Replica::run_block(const Batch& batch, Block block, std::span<const TaskOutput> outputs,
                        StageTimes* times) {
  const int32_t sequences = block.last - block.first;
  const int32_t start = batch.offsets[block.first];
  const int32_t tokens = batch.offsets[block.last] - start;
  for (int32_t s = 0; s <= sequences; ++s) offsets_[s] = batch.offsets[block.first + s] - start;

  StageTimer timer(times);
  embed(batch, block, tokens);
  timer.mark(&StageTimes::embed);

  kernels::AttentionArgs attention;
  attention.offsets = offsets_;
  attention.sequences = sequences;
  for (size_t layer = 0; layer < weights_->layers.size(); ++layer) {
    run_layer(layer, attention, tokens, timer);
  }

  const auto pool = [&](Pooling pooling, const Matrix& target) {
    const bool wanted = std::any_of(outputs.begin(), outputs.end(), [&](const TaskOutput& output) {
      return poolings_[output.task] == pooling;
    });
    if (!wanted) return;
    kernels_->pool({.input = hidden_.data,
                    .input_stride = hidden_.stride,
                    .offsets = offsets_,
                    .sequences = sequences,
                    .pooling = pooling,
                    .output = reinterpret_cast<float*>(target.data),
                    .output_stride = target.stride,
                    .columns = weights_->spec.hidden});
  };
  pool(Pooling::mean, pooled_mean_);
  pool(Pooling::cls, pooled_cls_);
  for (const TaskOutput& output : outputs) {
    const Matrix& pooled = poolings_[output.task] == Pooling::mean ? pooled_mean_ : pooled_cls_;
    const auto& head = weights_->heads[output.task];
    if (head) {
      run_head(*head, pooled, block, output);
      continue;
    }
    const size_t width = weights_->spec.hidden;
    for (int32_t s = 0; s < sequences; ++s) {
      std::memcpy(&output.values[(block.first + s) * width], pooled.data + s * pooled.stride,
                  width * sizeof(float));
    }
  }
  timer.mark(&StageTimes::heads);
}

void Replica::run_layer(size_t index, const kernels::AttentionArgs& sequences, int32_t tokens,
                        StageTimer& timer) {
  const Layer& layer = weights_->layers[index];
  const Layer& next = weights_->layers[(index + 1) % weights_->layers.size()];
  const Matrix projected = {wide_.data, hidden_.stride};  // Q K V is not needed any more then
  const int32_t hidden = weights_->spec.hidden;
  const auto number = static_cast<int32_t>(index);

  observe(number, "qkv", hidden_, tokens, hidden);
  linear(layer.qkv, hidden_, wide_, tokens, layer.attention_output.weights);
  timer.mark(&StageTimes::qkv);

  kernels::AttentionArgs attention = sequences;
  attention.qkv = wide_.data;
  attention.qkv_stride = wide_.stride;
  attention.section = weights_->section;
  attention.context = branch_.data;
  attention.context_stride = branch_.stride;
  attention.heads = weights_->spec.heads;
  attention.head_dim = weights_->spec.head_dim();
  attention.scratch = scratch_;
  kernels_->attention(attention);
  timer.mark(&StageTimes::attention);

  observe(number, "attention_output", branch_, tokens, hidden);
  linear(layer.attention_output, branch_, projected, tokens, layer.ffn_up.weights);
  timer.mark(&StageTimes::attention_output);
  add_norm(projected, layer.attention_norm, tokens);
  timer.mark(&StageTimes::norm);

  const bool fused = weights_->spec.activation == Activation::gelu_erf;
  observe(number, "ffn_up", hidden_, tokens, hidden);
  linear(layer.ffn_up, hidden_, wide_, tokens, layer.ffn_down.weights,
         fused ? Fused::gelu_erf : Fused::none);
  if (!fused) {
    kernels_->activate({.data = wide_.data,
                        .stride = wide_.stride,
                        .rows = tokens,
                        .columns = weights_->spec.intermediate,
                        .is_fp32 = weights_->activations == model::Precision::fp32,
                        .activation = weights_->spec.activation});
  }
  timer.mark(&StageTimes::ffn_up);
  observe(number, "ffn_down", wide_, tokens, weights_->spec.intermediate);
  linear(layer.ffn_down, wide_, branch_, tokens, next.qkv.weights);
  timer.mark(&StageTimes::ffn_down);
  add_norm(branch_, layer.ffn_norm, tokens);
  timer.mark(&StageTimes::norm);
}

void Replica::run_head(const Head& head, const Matrix& pooled, Block block,
                       const TaskOutput& output) {
  const int32_t sequences = block.last - block.first;
  const auto linear_fp32 = [&](const Linear& layer, const Matrix& input, const Matrix& result) {
    kernels_->linear_fp32({.input = input.data,
                           .input_stride = input.stride,
                           .weights = layer.weights,
                           .bias = layer.bias,
                           .output = result.data,
                           .output_stride = result.stride,
                           .rows = sequences,
                           .k = layer.k,
                           .n = layer.n,
                           .output_type = kernels::OutputType::fp32});
  };
  Matrix input = pooled;
  if (head.dense) {
    linear_fp32(head.dense->linear, pooled, dense_);
    kernels_->activate({.data = dense_.data,
                        .stride = dense_.stride,
                        .rows = sequences,
                        .columns = weights_->spec.hidden,
                        .is_fp32 = true,
                        .activation = head.dense->activation});
    input = dense_;
  }
  linear_fp32(head.output, input, logits_);
  const size_t width = head.outputs;
  for (int32_t s = 0; s < sequences; ++s) {
    std::memcpy(&output.values[(block.first + s) * width], logits_.data + s * logits_.stride,
                width * sizeof(float));
  }
}

void Replica::embed(const Batch& batch, Block block, int32_t tokens) {
  const int32_t start = batch.offsets[block.first];
  for (int32_t s = block.first; s < block.last; ++s) {
    for (int32_t i = batch.offsets[s]; i < batch.offsets[s + 1]; ++i) {
      positions_[i - start] = i - batch.offsets[s];
    }
  }
  const bool typed = weights_->type_embeddings != nullptr;
  kernels_->embed({.ids = batch.ids.data() + start,
                   .positions = positions_,
                   .types = typed ? batch.types.data() + start : nullptr,
                   .word_table = weights_->word_embeddings,
                   .position_table = weights_->position_embeddings,
                   .type_table = weights_->type_embeddings,
                   .gain = weights_->embedding_norm.gain,
                   .bias = weights_->embedding_norm.bias,
                   .epsilon = weights_->spec.norm_epsilon,
                   .output = hidden_.data,
                   .output_stride = hidden_.stride,
                   .rows = tokens,
                   .columns = weights_->spec.hidden});
}

void Replica::observe(int32_t layer, const char* part, const Matrix& input, int32_t rows,
                      int32_t columns) const {
  if (!observer_) return;
  observer_({.layer = layer,
             .part = part,
             .rows = input.data,
             .stride = input.stride,
             .count = rows,
             .columns = columns,
             .is_fp32 = weights_->activations == model::Precision::fp32});
}

void Replica::linear(const Linear& layer, const Matrix& input, const Matrix& output, int32_t rows,
                     const void* next_weights, Fused fused) const {
  if (layer.int8) return int8_linear(layer, input, output, rows, next_weights, fused);
  kernels_->linear({.input = input.data,
                    .input_stride = input.stride,
                    .weights = layer.weights,
                    .bias = layer.bias,
                    .output = output.data,
                    .output_stride = output.stride,
                    .rows = rows,
                    .k = layer.k,
                    .n = layer.n,
                    .fused = fused,
                    .next_weights = next_weights});
}

void Replica::int8_linear(const Linear& layer, const Matrix& input, const Matrix& output,
                          int32_t rows, const void* next_weights, Fused fused) const {
  const Linear::Int8& int8 = *layer.int8;
  auto* const bytes = reinterpret_cast<uint8_t*>(quantized_.data);
  int8_kernels_->quantize({.input = input.data,
                           .input_stride = input.stride,
                           .smooth = int8.smooth,
                           .is_symmetric = int8.is_symmetric,
                           .floor = int8.floor,
                           .output = bytes,
                           .output_stride = quantized_.stride,
                           .scales = scales_,
                           .rows = rows,
                           .columns = layer.columns});
  int8_kernels_->linear({.input = bytes,
                         .input_stride = quantized_.stride,
                         .input_scales = scales_,
                         .zero_point = int8.is_symmetric ? kernels::kSymmetricZero : 0,
                         .weights = layer.weights,
                         .weight_scales = int8.scales,
                         .column_sums = int8.column_sums,
                         .bias = layer.bias,
                         .output = output.data,
                         .output_stride = output.stride,
                         .rows = rows,
                         .k = layer.k,
                         .n = layer.n,
                         .fused = fused,
                         .next_weights = next_weights});
}

void Replica::add_norm(const Matrix& input, const Norm& norm, int32_t rows) const {
  kernels_->add_norm({.input = input.data,
                      .input_stride = input.stride,
                      .residual = hidden_.data,
                      .residual_stride = hidden_.stride,
                      .gain = norm.gain,
                      .bias = norm.bias,
                      .epsilon = weights_->spec.norm_epsilon,
                      .output = hidden_.data,
                      .output_stride = hidden_.stride,
                      .rows = rows,
                      .columns = weights_->spec.hidden});
}

// ---------------------------------------------------------------------------------------------------------------------
// Blocks and memory

namespace {

// Activations of a block: what leaves room in a 2 MB L2 cache (and still half fits a 1 MB one,
// where the measured optimum is about as large) beside the weight panel in use.
constexpr int64_t kBlockBytes = 1200 << 10;
constexpr int32_t kMinBlockTokens = 64;
constexpr int32_t kMaxBlockTokens = 512;
constexpr int32_t kMaxBlockSequences = 128;

// An odd number of cache lines between rows keeps them out of each other's cache sets.
int64_t row_stride(int64_t bytes) {
  const int64_t lines = kernels::round_up(bytes, 64) / 64;
  return (lines + (lines % 2 == 0 ? 1 : 2)) * 64;
}

}  // namespace

Status check_batch(const model::EncoderSpec& spec, const Batch& batch) {
  const auto wrong = [](std::string what, std::string expected, std::string found) {
    return invalid_argument({.what = std::move(what),
                             .where = "token batch",
                             .expected = std::move(expected),
                             .found = std::move(found),
                             .remedy = "Use the tokenizer that the model was compiled with"});
  };
  const auto& offsets = batch.offsets;
  if (offsets.empty() || offsets.front() != 0 ||
      static_cast<size_t>(offsets.back()) != batch.ids.size()) {
    return wrong("offsets do not cover the token ids", "0 to " + std::to_string(batch.ids.size()),
                 offsets.empty() ? "no offsets" : std::to_string(offsets.back()));
  }
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    const int64_t length = int64_t{offsets[s + 1]} - offsets[s];
    if (length < 1 || length > spec.max_positions) {
      return wrong("sequence " + std::to_string(s) + " has a wrong length",
                   "1 to " + std::to_string(spec.max_positions) + " tokens",
                   std::to_string(length));
    }
  }
  for (const int32_t id : batch.ids) {
    if (id < 0 || id >= spec.vocab_size) {
      return wrong("token id outside the vocabulary", "0 to " + std::to_string(spec.vocab_size - 1),
                   std::to_string(id));
    }
  }
  if (spec.token_types == 0) return {};
  if (batch.types.size() != batch.ids.size()) {
    return wrong("token types do not match the token ids", std::to_string(batch.ids.size()),
                 std::to_string(batch.types.size()));
  }
  for (const int32_t type : batch.types) {
    if (type < 0 || type >= spec.token_types) {
      return wrong("token type out of range", "0 to " + std::to_string(spec.token_types - 1),
                   std::to_string(type));
    }
  }
  return {};
}

// The tokens that are left are shared out evenly over as few blocks as hold them, so that no small
// block remains.
Replica::Block Replica::next_block(const Batch& batch, int32_t first) const {
  const int32_t start = batch.offsets[first];
  const int32_t left = batch.offsets.back() - start;
  const int32_t blocks = (left + block_tokens_ - 1) / block_tokens_;
  const int32_t goal = (left + blocks - 1) / blocks;
  Block block = {first, first + 1};
  while (block.last < batch.sequences() && block.last - first < block_sequences_ &&
         batch.offsets[block.last] - start < goal &&
         batch.offsets[block.last + 1] - start <= block_tokens_) {
    ++block.last;
  }
  return block;
}

Replica::Replica(const Weights& weights, const KernelChoice& kernels,
                 std::span<const Pooling> poolings)
    : weights_(&weights),
      kernels_(kernels.backbone),
      int8_kernels_(kernels.int8),
      poolings_(poolings.begin(), poolings.end()) {}

Result<Replica> Replica::create(const Weights& weights, const KernelChoice& kernels,
                                std::span<const Pooling> poolings) {
  Replica replica(weights, kernels, poolings);
  TILEWISE_RETURN_IF_ERROR(replica.allocate());
  return replica;
}

Status Replica::allocate() {
  const auto element = static_cast<int64_t>(kernels::element_bytes(weights_->activations));
  const int64_t hidden = kernels::padded_n(weights_->spec.hidden);
  const int64_t wide =
      std::max<int64_t>(3 * weights_->section, kernels::padded_n(weights_->spec.intermediate));
  int64_t widest_head = kernels::kPanelColumns;
  for (const auto& head : weights_->heads) {
    if (head) widest_head = std::max<int64_t>(widest_head, head->output.n);
  }
  int64_t widest_int8 = 0;
  for (const Layer& layer : weights_->layers) {
    for (const Linear* linear :
         {&layer.qkv, &layer.attention_output, &layer.ffn_up, &layer.ffn_down}) {
      if (linear->int8) widest_int8 = std::max<int64_t>(widest_int8, linear->k);
    }
  }
  const int64_t token_bytes = (2 * hidden + wide) * element;
  block_tokens_ = static_cast<int32_t>(
      std::clamp<int64_t>(kBlockBytes / token_bytes / 32 * 32, kMinBlockTokens, kMaxBlockTokens));
  block_sequences_ = kMaxBlockSequences;
  capacity_ = std::max(block_tokens_, weights_->spec.max_positions);

  const int64_t token_rows = capacity_ + kernels::kRowSlack;
  const int64_t sequence_rows = block_sequences_ + kernels::kRowSlack;
  // First pass: sizes; second pass: addresses.
  int64_t used = 0;
  const auto take = [&](int64_t bytes) {
    std::byte* place = memory_.size() == 0 ? nullptr : memory_.data() + used;
    used += kernels::round_up(bytes, 64);
    return place;
  };
  const auto matrix = [&](int64_t rows, int64_t row_bytes) {
    const int64_t stride = row_stride(row_bytes);
    return Matrix{take(rows * stride), stride};
  };
  const auto lay_out = [&] {
    used = 0;
    hidden_ = matrix(token_rows, hidden * element);
    branch_ = matrix(token_rows, hidden * element);
    wide_ = matrix(token_rows, wide * element);
    quantized_ = matrix(token_rows, widest_int8);
    scales_ = reinterpret_cast<float*>(take(token_rows * 4));
    pooled_mean_ = matrix(sequence_rows, hidden * 4);
    pooled_cls_ = matrix(sequence_rows, hidden * 4);
    dense_ = matrix(sequence_rows, hidden * 4);
    logits_ = matrix(sequence_rows, widest_head * 4);
    scratch_ = take(static_cast<int64_t>(
        kernels_->attention_scratch(weights_->spec.max_positions, weights_->spec.head_dim())));
    positions_ = reinterpret_cast<int32_t*>(take(capacity_ * 4));
    offsets_ = reinterpret_cast<int32_t*>(take((block_sequences_ + 1) * 4));
  };
  lay_out();
  TILEWISE_ASSIGN_OR_RETURN(memory_, AlignedBuffer::allocate(static_cast<size_t>(used)));
  lay_out();
  return {};
}

}  // namespace tilewise::runtime
