#include "runtime/replica.h"

#include <algorithm>
#include <chrono>
#include <cstring>
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

namespace {

// Rows a member from which on linear layers are shared out by rows: then members exchange little,
// but each reads all the weights. With fewer they take columns instead. Measured with MiniLM in
// bf16 on two cores with AMX, time on one core / on two: 128 tokens 1.4 by rows, 1.4 by columns;
// 256 tokens 1.7 and 1.4; 8 tokens 1.8 by columns.
constexpr int32_t kRowsOfAShare = 96;

bool shares_rows(const Member& me, int32_t rows) {
  return int64_t{rows} >= int64_t{kRowsOfAShare} * me.team_size();
}

/// The rows of a member in every operation of a block. Whole tiles where linear layers take them;
/// else no less than is worth a trip of the cache lines to another core.
Range rows_of(const Member& me, int32_t rows) {
  return me.share(rows, shares_rows(me, rows) ? 16 : 4);
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// The forward pass. A layer adds attention, then feed-forward, to the residual stream, and
// normalises behind each sum. The residual of the next sum is what was normalised (post-norm;
// Vaswani et al. 2017) or the sum itself (pre-norm; Xiong et al. 2020), kept in fp32: of a stream
// rounded to bf16 at each of 44 sums ModernBERT-base of random weights has four times the error.

int64_t Replica::run(const Batch& batch, std::span<const TaskOutput> outputs,
                     const PassOptions& options) {
  const bool is_adaptive = !options.full_depth && !observer_;
  token_layers_ = 0;
  clear_depths(outputs, batch.sequences());
  team_->run([&](const Member& me) {
    kernels_->begin_pass();
    if (int8_kernels_ != nullptr) int8_kernels_->begin_pass();
    StageTimer timer(me.is_first() ? options.times : nullptr);
    for (int32_t first = 0; first < batch.sequences();) {
      const Block block = next_block(batch, first, block_tokens_, block_sequences_);
      run_block(me, batch, block, outputs, is_adaptive, timer);
      first = block.last;
    }
    if (int8_kernels_ != nullptr) int8_kernels_->end_pass();
    kernels_->end_pass();
  });
  return token_layers_;
}

void Replica::run_block(const Member& me, const Batch& batch, Block block,
                        std::span<const TaskOutput> outputs, bool is_adaptive, StageTimer& timer) {
  const int32_t layers = weights_->spec.layers;
  int32_t sequences = block.sequences();
  int32_t tokens = batch.offsets[block.last] - batch.offsets[block.first];
  embed(me, batch, block, tokens);
  if (weights_->embedding_projection) project_embeddings(me, tokens);
  timer.mark(&StageTimes::embed);
  for (int32_t layer = 0; layer < layers; ++layer) {
    run_layer(me, layer, sequences, tokens, timer);
    if (me.is_first()) token_layers_ += tokens;
    const int32_t depth = layer + 1;
    if (!is_adaptive || depth == layers || !has_exit_after(depth, outputs)) continue;
    run_exits(me, depth, outputs);
    timer.mark(&StageTimes::exits);
    sequences = packed_.sequences;
    tokens = packed_.tokens();
    if (sequences == 0) return;
  }
  run_heads(me, outputs);
  timer.mark(&StageTimes::heads);
}

void Replica::run_layer(const Member& me, int32_t index, int32_t sequences, int32_t tokens,
                        StageTimer& timer) {
  const model::EncoderSpec& spec = weights_->spec;
  const Layer& layer = weights_->layers[index];
  const Layer& next = weights_->layers[(index + 1) % spec.layers];
  const bool by_rows = shares_rows(me, tokens);
  const bool fused = spec.activation == Activation::gelu_erf && !spec.is_gated;
  const Matrix qkv = {wide_.data, wide_.stride, by_rows};
  const Matrix context = {branch_.data, branch_.stride, false};
  // Q K V is not needed any more then. A member's rows must not lie in those of another.
  const Matrix projected = {wide_.data, by_rows ? wide_.stride : hidden_.stride, by_rows};
  const Matrix inner = {wide_.data, wide_.stride, by_rows || !fused};
  const Matrix output = {branch_.data, branch_.stride, by_rows};

  observe(me, index, "qkv", hidden_, tokens, spec.hidden);
  linear(me, layer.qkv, hidden_, qkv, tokens, layer.attention_output);
  timer.mark(&StageTimes::qkv);
  attend(me, layer, sequences);
  timer.mark(&StageTimes::attention);
  observe(me, index, "attention_output", context, tokens, spec.hidden);
  linear(me, layer.attention_output, context, projected, tokens, layer.ffn_up);
  timer.mark(&StageTimes::attention_output);
  add_norm(me, projected, layer.after_attention, tokens, index == 0);
  timer.mark(&StageTimes::norm);

  observe(me, index, "ffn_up", hidden_, tokens, spec.hidden);
  linear(me, layer.ffn_up, hidden_, inner, tokens, layer.ffn_down,
         fused ? Fused::gelu_erf : Fused::none);
  if (!fused) {
    if (!by_rows) me.wait();
    activate_inner(me, inner, tokens);
  }
  timer.mark(&StageTimes::ffn_up);
  observe(me, index, "ffn_down", inner, tokens, spec.intermediate);
  linear(me, layer.ffn_down, inner, output, tokens, next.qkv);
  timer.mark(&StageTimes::ffn_down);
  add_norm(me, output, layer.after_ffn, tokens);
  timer.mark(&StageTimes::norm);
}

// ---------------------------------------------------------------------------------------------------------------------
// The operations. Each is shared out by rows, columns or heads, and a member waits for the others
// before it reads what they wrote, or writes what they may still read. How an operation is shared
// out never changes a result: rows, columns and heads do not depend on each other.

void Replica::embed(const Member& me, const Batch& batch, Block block, int32_t tokens) {
  const int32_t start = batch.offsets[block.first];
  const Range rows = rows_of(me, tokens);
  me.wait();  // the last block may still be pooled
  if (me.is_first()) {
    packed_.sequences = block.sequences();
    for (int32_t s = 0; s <= block.sequences(); ++s) {
      packed_.offsets[s] = batch.offsets[block.first + s] - start;
      packed_.numbers[s] = block.first + s;
    }
  }
  for (int32_t s = block.first; s < block.last; ++s) {
    const int32_t begin = batch.offsets[s] - start;
    const int32_t end = std::min(batch.offsets[s + 1] - start, rows.last);
    for (int32_t i = std::max(begin, rows.first); i < end; ++i) positions_[i] = i - begin;
  }
  if (rows.count() == 0) return;
  const int32_t first = start + rows.first;
  const bool typed = weights_->type_embeddings != nullptr;
  const Matrix& output = weights_->embedding_projection ? embedded_ : hidden_;
  kernels_->embed({.ids = batch.ids.data() + first,
                   .positions = positions_ + rows.first,
                   .types = typed ? batch.types.data() + first : nullptr,
                   .word_table = weights_->word_embeddings,
                   .position_table = weights_->position_embeddings,
                   .type_table = weights_->type_embeddings,
                   .gain = weights_->embedding_norm.gain,
                   .bias = weights_->embedding_norm.bias,
                   .epsilon = weights_->spec.norm_epsilon,
                   .output = output.row(rows.first),
                   .output_stride = output.stride,
                   .rows = rows.count(),
                   .columns = weights_->spec.embedding_width()});
}

void Replica::project_embeddings(const Member& me, int32_t tokens) const {
  linear(me, *weights_->embedding_projection, embedded_, hidden_, tokens, weights_->layers[0].qkv);
  me.wait();  // a row of hidden_ may have been written by several
}

void Replica::linear(const Member& me, const Linear& layer, const Matrix& input,
                     const Matrix& output, int32_t rows, const Linear& next, Fused fused) const {
  if (!input.by_rows) me.wait();
  if (layer.int8) quantize(layer, input, rows_of(me, rows));
  if (shares_rows(me, rows)) {
    multiply(layer, input, output, rows_of(me, rows), {0, layer.panels()}, next.panel(0), fused);
    return;
  }
  const bool is_whole = !input.by_rows && !layer.int8;
  if (!is_whole) me.wait();
  multiply(layer, input, output, {0, rows}, me.share(layer.panels()),
           next.panel(me.share(next.panels()).first), fused);
}

void Replica::multiply(const Linear& layer, const Matrix& input, const Matrix& output, Range rows,
                       Range panels, const void* next_weights, Fused fused) const {
  if (rows.count() == 0 || panels.count() == 0) return;
  const int32_t column = panels.first * kernels::kPanelColumns;
  const int32_t n = panels.count() * kernels::kPanelColumns;
  std::byte* const target = output.row(rows.first) + column * element_bytes_;
  if (!layer.int8) {
    kernels_->linear({.input = input.row(rows.first),
                      .input_stride = input.stride,
                      .weights = layer.panel(panels.first),
                      .bias = layer.bias + column,
                      .output = target,
                      .output_stride = output.stride,
                      .rows = rows.count(),
                      .k = layer.k,
                      .n = n,
                      .fused = fused,
                      .next_weights = next_weights});
    return;
  }
  int8_kernels_->linear({.input = reinterpret_cast<const uint8_t*>(quantized_.row(rows.first)),
                         .input_stride = quantized_.stride,
                         .input_scales = scales_ + rows.first,
                         .zero_point = layer.int8->is_symmetric ? kernels::kSymmetricZero : 0,
                         .weights = layer.panel(panels.first),
                         .weight_scales = layer.int8->scales + column,
                         .column_sums = layer.int8->column_sums + column,
                         .bias = layer.bias + column,
                         .output = target,
                         .output_stride = output.stride,
                         .rows = rows.count(),
                         .k = layer.k,
                         .n = n,
                         .fused = fused,
                         .next_weights = next_weights});
}

void Replica::quantize(const Linear& layer, const Matrix& input, Range rows) const {
  if (rows.count() == 0) return;
  int8_kernels_->quantize({.input = input.row(rows.first),
                           .input_stride = input.stride,
                           .smooth = layer.int8->smooth,
                           .is_symmetric = layer.int8->is_symmetric,
                           .floor = layer.int8->floor,
                           .output = reinterpret_cast<uint8_t*>(quantized_.row(rows.first)),
                           .output_stride = quantized_.stride,
                           .scales = scales_ + rows.first,
                           .rows = rows.count(),
                           .columns = layer.columns});
}

// By heads: they are alike, however long the sequences are.
void Replica::attend(const Member& me, const Layer& layer, int32_t sequences) {
  const model::EncoderSpec& spec = weights_->spec;
  const Range heads = me.share(spec.heads);
  me.wait();
  // attention_output multiplies what lies between hidden and section by zero. What ffn_down has
  // left there could be a NaN of another sequence.
  if (me.is_first()) {
    clear_columns(branch_, {0, packed_.offsets[sequences]}, spec.hidden, weights_->section);
  }
  if (heads.count() == 0) return;
  const int64_t column = int64_t{heads.first} * spec.head_dim() * element_bytes_;
  if (layer.rotary.cosines != nullptr) {
    kernels_->rotate({.qkv = wide_.data + column,
                      .qkv_stride = wide_.stride,
                      .section = weights_->section,
                      .offsets = packed_.offsets,
                      .sequences = sequences,
                      .heads = heads.count(),
                      .head_dim = spec.head_dim(),
                      .cosines = layer.rotary.cosines,
                      .sines = layer.rotary.sines});
  }
  const float* bias = weights_->relative_bias;
  if (bias != nullptr) bias += heads.first * weights_->relative_bias_stride;
  kernels_->attention({.qkv = wide_.data + column,
                       .qkv_stride = wide_.stride,
                       .section = weights_->section,
                       .context = branch_.data + column,
                       .context_stride = branch_.stride,
                       .offsets = packed_.offsets,
                       .sequences = sequences,
                       .heads = heads.count(),
                       .head_dim = spec.head_dim(),
                       .relative_bias = bias,
                       .relative_bias_stride = weights_->relative_bias_stride,
                       .window = layer.window,
                       .scratch = scratch_ + me.index() * scratch_bytes_});
}

void Replica::clear_columns(const Matrix& data, Range rows, int64_t first, int64_t last) const {
  if (first == last) return;
  const auto bytes = static_cast<size_t>((last - first) * element_bytes_);
  for (int32_t row = rows.first; row < rows.last; ++row) {
    std::memset(data.row(row) + first * element_bytes_, 0, bytes);
  }
}

void Replica::add_norm(const Member& me, const Matrix& input, const Norm& norm, int32_t rows,
                       bool is_first_sum) const {
  if (!input.by_rows) me.wait();
  const Range mine = rows_of(me, rows);
  if (mine.count() == 0) return;
  kernels::AddNormArgs args = {.input = input.row(mine.first),
                               .input_stride = input.stride,
                               .residual = hidden_.row(mine.first),
                               .residual_stride = hidden_.stride,
                               .gain = norm.gain,
                               .bias = norm.bias,
                               .epsilon = weights_->spec.norm_epsilon,
                               .output = hidden_.row(mine.first),
                               .output_stride = hidden_.stride,
                               .rows = mine.count(),
                               .columns = weights_->spec.hidden};
  if (keeps_sums()) {
    args.sum = reinterpret_cast<float*>(sums_.row(mine.first));
    args.sum_stride = sums_.stride;
    if (!is_first_sum) {  // before it the embeddings are the stream
      args.residual = args.sum;
      args.residual_stride = args.sum_stride;
      args.residual_is_fp32 = true;
    }
  }
  kernels_->add_norm(args);
}

void Replica::norm_fp32(const Member& me, const Matrix& data, const Norm& norm,
                        int32_t rows) const {
  const Range mine = rows_of(me, rows);
  if (mine.count() == 0) return;
  kernels_->add_norm_fp32({.input = data.row(mine.first),
                           .input_stride = data.stride,
                           .residual = zeros_,
                           .gain = norm.gain,
                           .bias = norm.bias,
                           .epsilon = weights_->spec.norm_epsilon,
                           .output = data.row(mine.first),
                           .output_stride = data.stride,
                           .rows = mine.count(),
                           .columns = weights_->spec.hidden});
}

// Gates are the second half of ffn_up's outputs. What they leave behind the first lies where
// ffn_down expects zeros.
void Replica::activate_inner(const Member& me, const Matrix& inner, int32_t rows) const {
  const model::EncoderSpec& spec = weights_->spec;
  const bool is_fp32 = weights_->activations == model::Precision::fp32;
  activate(me, inner, rows, spec.intermediate, is_fp32, spec.activation, spec.is_gated);
  if (spec.is_gated) {
    clear_columns(inner, rows_of(me, rows), spec.intermediate,
                  kernels::padded_n(spec.intermediate));
  }
}

void Replica::activate(const Member& me, const Matrix& data, int32_t rows, int32_t columns,
                       bool is_fp32, Activation activation, bool is_gated) const {
  const Range mine = rows_of(me, rows);
  if (mine.count() == 0) return;
  kernels_->activate({.data = data.row(mine.first),
                      .stride = data.stride,
                      .rows = mine.count(),
                      .columns = columns,
                      .is_fp32 = is_fp32,
                      .activation = activation,
                      .is_gated = is_gated});
}

// Behind an inner layer the residual stream is pooled, as exits are trained on it.
void Replica::pool(const Member& me, int32_t depth, int32_t sequences, Pooling pooling,
                   const Matrix& output) const {
  const Range mine = rows_of(me, sequences);
  if (mine.count() == 0) return;
  const bool is_sum = keeps_sums() && depth < weights_->spec.layers;
  const Matrix& input = is_sum ? sums_ : hidden_;
  kernels_->pool({.input = input.data,
                  .input_stride = input.stride,
                  .is_fp32 = is_sum,
                  .offsets = packed_.offsets + mine.first,
                  .sequences = mine.count(),
                  .pooling = pooling,
                  .output = reinterpret_cast<float*>(output.row(mine.first)),
                  .output_stride = output.stride,
                  .columns = weights_->spec.hidden});
}

void Replica::linear_fp32(const Member& me, const Linear& layer, const Matrix& input,
                          const Matrix& output, int32_t rows) const {
  const Range panels = me.share(layer.panels());
  me.wait();
  if (panels.count() == 0) return;
  const int32_t column = panels.first * kernels::kPanelColumns;
  kernels_->linear_fp32({.input = input.data,
                         .input_stride = input.stride,
                         .weights = layer.panel(panels.first),
                         .bias = layer.bias + column,
                         .output = output.data + column * int64_t{sizeof(float)},
                         .output_stride = output.stride,
                         .rows = rows,
                         .k = layer.k,
                         .n = panels.count() * kernels::kPanelColumns,
                         .output_type = kernels::OutputType::fp32});
}

void Replica::observe(const Member& me, int32_t layer, const char* part, const Matrix& input,
                      int32_t rows, int32_t columns) const {
  if (!observer_) return;
  me.wait();
  if (!me.is_first()) return;
  observer_({.layer = layer,
             .part = part,
             .rows = input.data,
             .stride = input.stride,
             .count = rows,
             .columns = columns,
             .is_fp32 = weights_->activations == model::Precision::fp32});
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

// A tile unit multiplies faster than weights arrive from beyond the L2 cache. Where the activations
// of this many tokens do not fit anyway, a block takes more, so that the weights are read less
// often. Measured with BERT-base in bf16, 16 x 60 tokens: 30 % of the peak with blocks of 128
// tokens, 39 % with 256, 42 % with 480.
constexpr int32_t kFewTokensForTiles = 192;
constexpr int32_t kManyTokensForTiles = 480;

int32_t tokens_of_block(int64_t token_bytes, Isa isa) {
  const auto fitting = static_cast<int32_t>(
      std::clamp<int64_t>(kBlockBytes / token_bytes / 32 * 32, kMinBlockTokens, kMaxBlockTokens));
  return isa == Isa::amx && fitting < kFewTokensForTiles ? kManyTokensForTiles : fitting;
}

// An odd number of cache lines between rows keeps them out of each other's cache sets.
int64_t row_stride(int64_t bytes) {
  const int64_t lines = kernels::round_up(bytes, 64) / 64;
  return (lines + (lines % 2 == 0 ? 1 : 2)) * 64;
}

}  // namespace

Replica::Replica(const Weights& weights, const KernelChoice& kernels,
                 std::span<const Pooling> poolings, std::shared_ptr<Team> team)
    : weights_(&weights),
      kernels_(kernels.backbone),
      int8_kernels_(kernels.int8),
      poolings_(poolings.begin(), poolings.end()),
      team_(std::move(team)) {}

Result<Replica> Replica::create(const Weights& weights, const KernelChoice& kernels,
                                std::span<const Pooling> poolings, std::shared_ptr<Team> team) {
  if (team == nullptr) {
    TILEWISE_ASSIGN_OR_RETURN(team, Team::create(1));
  }
  Replica replica(weights, kernels, poolings, std::move(team));
  TILEWISE_RETURN_IF_ERROR(replica.allocate());
  return replica;
}

Status Replica::allocate() {
  element_bytes_ = static_cast<int64_t>(kernels::element_bytes(weights_->activations));
  const int64_t hidden = kernels::padded_n(weights_->spec.hidden);
  const int64_t sums = keeps_sums() ? hidden * 4 : 0;  // bytes of a row, as those that follow
  const int64_t embedded =
      weights_->embedding_projection ? weights_->embedding_projection->k * element_bytes_ : 0;
  const int64_t wide =
      std::max<int64_t>(3 * weights_->section, kernels::padded_n(weights_->spec.ffn_up_outputs()));
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
  block_tokens_ = tokens_of_block((2 * hidden + wide) * element_bytes_ + sums, kernels_->isa);
  block_sequences_ = kMaxBlockSequences;
  capacity_ = std::max(block_tokens_, weights_->spec.max_positions);

  const int64_t token_rows = capacity_ + kernels::kRowSlack;
  const int64_t sequence_rows = block_sequences_ + kernels::kRowSlack;
  scratch_bytes_ = kernels::round_up(static_cast<int64_t>(kernels_->attention_scratch(
                                         weights_->spec.max_positions, weights_->spec.head_dim())),
                                     128);
  // First pass: sizes; second pass: addresses.
  int64_t used = 0;
  const auto take = [&](int64_t bytes) {
    std::byte* place = memory_.size() == 0 ? nullptr : memory_.data() + used;
    used += kernels::round_up(bytes, 64);
    return place;
  };
  const auto matrix = [&](int64_t rows, int64_t row_bytes) {
    const int64_t stride = row_bytes > 0 ? row_stride(row_bytes) : 0;
    return Matrix{take(rows * stride), stride};
  };
  const auto lay_out = [&] {
    used = 0;
    embedded_ = matrix(token_rows, embedded);
    embedded_.by_rows = true;
    hidden_ = matrix(token_rows, hidden * element_bytes_);
    hidden_.by_rows = true;
    sums_ = matrix(token_rows, sums);
    branch_ = matrix(token_rows, hidden * element_bytes_);
    wide_ = matrix(token_rows, wide * element_bytes_);
    quantized_ = matrix(token_rows, widest_int8);
    scales_ = reinterpret_cast<float*>(take(token_rows * 4));
    pooled_mean_ = matrix(sequence_rows, hidden * 4);
    pooled_cls_ = matrix(sequence_rows, hidden * 4);
    dense_ = matrix(sequence_rows, hidden * 4);
    zeros_ = reinterpret_cast<float*>(take(hidden * 4));
    logits_ = matrix(sequence_rows, widest_head * 4);
    scratch_ = take(team_->size() * scratch_bytes_);
    positions_ = reinterpret_cast<int32_t*>(take(capacity_ * 4));
    packed_.offsets = reinterpret_cast<int32_t*>(take((block_sequences_ + 1) * 4));
    packed_.numbers = reinterpret_cast<int32_t*>(take((block_sequences_ + 1) * 4));
    moved_from_ = reinterpret_cast<int32_t*>(take(block_sequences_ * 4));
    open_ = reinterpret_cast<int32_t*>(take(block_sequences_ * 4));
  };
  lay_out();
  TILEWISE_ASSIGN_OR_RETURN(memory_, AlignedBuffer::allocate(static_cast<size_t>(used)));
  lay_out();
  return {};
}

}  // namespace tilewise::runtime
