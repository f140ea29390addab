#include "runtime/weights.h"

#include <string>
#include <utility>

#include "artifact/schema.h"
#include "artifact/tensor_names.h"
#include "kernels/int8.h"
#include "kernels/pack.h"

namespace tilewise::runtime {
namespace {

using artifact::Artifact;
using artifact::DataType;
using artifact::Layout;
using model::Precision;

// So a reader has refused longer sums before they are bound.
static_assert(artifact::kMaxInt8Inputs == kernels::kMaxInt8K);

DataType data_type(Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return DataType::f32;
    case Precision::bf16:
      return DataType::bf16;
    case Precision::int8:
      return DataType::s8;
  }
  return DataType::bytes;
}

/// Looks tensors up by name; the first that is missing or does not fit ends the binding.
class Binder {
 public:
  Binder(const Artifact& artifact, TensorSource& source) : artifact_(artifact), source_(source) {}

  const float* floats(const std::string& name, int64_t width) {
    return static_cast<const float*>(find(name, DataType::f32, Layout::rows, {width}));
  }

  const float* table(const std::string& name, int64_t rows, int64_t width) {
    return static_cast<const float*>(find(name, DataType::f32, Layout::rows, {rows, width}));
  }

  const void* table(const std::string& name, Precision precision, int64_t rows, int64_t width) {
    return find(name, data_type(precision), Layout::rows, {rows, width});
  }

  /// A linear layer of n outputs and k inputs, of which `columns` are no padding.
  Linear linear(const std::string& name, int64_t n, int64_t k, int64_t columns,
                Precision precision) {
    Linear linear;
    linear.weights = find(name + ".weight", data_type(precision), Layout::panels, {n, k});
    linear.n = static_cast<int32_t>(kernels::padded_n(n));
    linear.k = static_cast<int32_t>(kernels::padded_k(k, precision));
    linear.columns = static_cast<int32_t>(columns);
    linear.panel_bytes =
        static_cast<int64_t>(kernels::packed_bytes(kernels::kPanelColumns, k, precision));
    linear.bias = floats(name + ".bias", linear.n);
    return linear;
  }

  /// A linear layer of the encoder; in an int8 artifact each has a precision of its own.
  Linear encoder_linear(const std::string& name, int64_t n, int64_t k, int64_t columns) {
    const artifact::Metadata& metadata = artifact_.metadata();
    if (metadata.precision != Precision::int8) {
      return linear(name, n, k, columns, metadata.precision);
    }
    const artifact::LinearPrecision* entry = find_precision(name);
    if (entry == nullptr) return {};
    Linear bound = linear(name, n, k, columns, entry->precision);
    if (entry->precision == Precision::int8) bound.int8 = bind_int8(*entry, bound);
    return bound;
  }

  Norm norm(const std::string& name, int64_t width) {
    return {floats(name + ".gain", width), floats(name + ".bias", width)};
  }

  const Status& status() const { return status_; }

 private:
  Linear::Int8 bind_int8(const artifact::LinearPrecision& entry, const Linear& linear) {
    Linear::Int8 int8;
    int8.scales = floats(entry.layer + ".scale", linear.n);
    int8.column_sums = static_cast<const int32_t*>(
        find(entry.layer + ".sums", DataType::s32, Layout::rows, {linear.n}));
    if (entry.is_smoothed) int8.smooth = floats(entry.layer + ".smooth", linear.k);
    int8.is_symmetric = !entry.input_floor;
    int8.floor = entry.input_floor.value_or(0.0F);
    return int8;
  }

  const artifact::LinearPrecision* find_precision(const std::string& layer) {
    for (const artifact::LinearPrecision& entry : artifact_.metadata().linears) {
      if (entry.layer == layer) return &entry;
    }
    fail(invalid_input({.what = "the artifact does not say in which precision a layer runs",
                        .where = artifact_.name() + ": " + layer,
                        .expected = "an entry for each linear layer of the encoder",
                        .remedy = "Compile the checkpoint again"}));
    return nullptr;
  }

  const void* find(const std::string& name, DataType type, Layout layout,
                   const std::vector<int64_t>& shape) {
    if (!status_.ok()) return nullptr;
    const auto found = artifact_.require(name, type, layout, shape);
    if (found.ok()) return source_.data(**found).data();
    status_ = found.status();
    return nullptr;
  }

  void fail(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }

  const Artifact& artifact_;
  TensorSource& source_;
  Status status_;
};

Rotary bind_rotary(Binder& binder, const model::EncoderSpec& spec, const std::string& name) {
  const int64_t half = spec.head_dim() / 2;
  return {binder.table(name + ".cosines", spec.max_positions, half),
          binder.table(name + ".sines", spec.max_positions, half)};
}

/// How the tokens of each layer see each other: where, and how far.
void bind_positions(Binder& binder, Weights& weights) {
  const auto& spec = weights.spec;
  Rotary global, local;
  if (spec.positions == model::Positions::rotary) {
    global = bind_rotary(binder, spec, "rotary.global");
    if (spec.window > 0) local = bind_rotary(binder, spec, "rotary.local");
  }
  for (int i = 0; i < spec.layers; ++i) {
    weights.layers[i].rotary = spec.is_local(i) ? local : global;
    weights.layers[i].window = spec.is_local(i) ? spec.window : 0;
  }
}

void bind_embeddings(Binder& binder, Weights& weights) {
  const auto& spec = weights.spec;
  const int64_t width = spec.embedding_width();
  weights.word_embeddings =
      binder.table("embeddings.word", weights.activations, spec.vocab_size, width);
  if (spec.positions == model::Positions::learned) {
    weights.position_embeddings = binder.table("embeddings.position", spec.max_positions, width);
  }
  if (spec.token_types > 0) {
    weights.type_embeddings = binder.table("embeddings.type", spec.token_types, width);
  }
  weights.embedding_norm = binder.norm("embeddings.norm", width);
  if (spec.embedding_size > 0) {
    weights.embedding_projection =
        binder.linear("embeddings.projection", spec.hidden, width, width, weights.activations);
  }
  if (spec.relative_buckets > 0) {
    const int64_t span = artifact::relative_span(spec);
    const float* table = binder.table("attention.relative_bias", spec.heads, 2 * span);
    weights.relative_bias = table == nullptr ? nullptr : table + span;
    weights.relative_bias_stride = 2 * span;
  }
}

/// The norms that follow the two residual sums of a layer. Where norms stand before attention and
/// feed-forward, those of what comes next follow.
void bind_norms(Binder& binder, const model::EncoderSpec& spec, int index, Layer& layer) {
  const bool is_post = spec.norm_placement == model::NormPlacement::post;
  const std::string attention = artifact::layer_tensor(index, "attention_norm");
  const std::string ffn = artifact::layer_tensor(index, "ffn_norm");
  const std::string next =
      index + 1 < spec.layers ? artifact::layer_tensor(index + 1, "attention_norm") : "final_norm";
  layer.after_attention = binder.norm(is_post ? attention : ffn, spec.hidden);
  layer.after_ffn = binder.norm(is_post ? ffn : next, spec.hidden);
}

Layer bind_layer(Binder& binder, const Weights& weights, int index) {
  const auto& spec = weights.spec;
  const int64_t hidden = spec.hidden;
  const int64_t section = weights.section;
  const auto name = [&](const char* part) { return artifact::layer_tensor(index, part); };
  Layer layer;
  layer.qkv = binder.encoder_linear(name("qkv"), 3 * section, hidden, hidden);
  layer.attention_output = binder.encoder_linear(name("attention_output"), hidden, section, hidden);
  layer.ffn_up = binder.encoder_linear(name("ffn_up"), spec.ffn_up_outputs(), hidden, hidden);
  layer.ffn_down =
      binder.encoder_linear(name("ffn_down"), hidden, spec.intermediate, spec.intermediate);
  bind_norms(binder, spec, index, layer);
  return layer;
}

std::optional<Head> bind_head(Binder& binder, const artifact::TaskEntry& entry, int64_t hidden) {
  if (entry.task.kind == model::TaskKind::embedding) return std::nullopt;
  Head head;
  if (entry.has_dense) {
    head.dense = Head::Dense{binder.linear(artifact::head_tensor(entry.task.name, "dense"), hidden,
                                           hidden, hidden, Precision::fp32),
                             entry.dense_activation};
    if (entry.dense_norm) {
      head.dense->norm = binder.norm(artifact::head_tensor(entry.task.name, "dense.norm"), hidden);
    }
  }
  head.outputs = entry.task.outputs();
  head.output = binder.linear(artifact::head_tensor(entry.task.name, "output"), head.outputs,
                              hidden, hidden, Precision::fp32);
  for (const model::Exit& exit : entry.task.exits) {
    head.exits.push_back(
        {.rule = exit,
         .linear = binder.linear(artifact::exit_tensor(entry.task.name, exit.after_layer),
                                 head.outputs, hidden, hidden, Precision::fp32),
         .scale = entry.task.temperature / exit.temperature});
  }
  return head;
}

}  // namespace

Result<Weights> bind(const Artifact& artifact) {
  TensorSource own;
  return bind(artifact, own);
}

Result<Weights> bind(const Artifact& artifact, TensorSource& source) {
  const artifact::Metadata& metadata = artifact.metadata();
  Weights weights;
  weights.spec = metadata.spec;
  weights.precision = metadata.precision;
  weights.activations = metadata.precision == Precision::fp32 ? Precision::fp32 : Precision::bf16;
  weights.section = static_cast<int32_t>(kernels::padded_n(metadata.spec.hidden));

  Binder binder(artifact, source);
  const model::EncoderSpec& spec = weights.spec;
  bind_embeddings(binder, weights);
  for (int i = 0; i < spec.layers; ++i) weights.layers.push_back(bind_layer(binder, weights, i));
  bind_positions(binder, weights);
  for (const auto& entry : metadata.tasks) {
    weights.heads.push_back(bind_head(binder, entry, spec.hidden));
  }
  TILEWISE_RETURN_IF_ERROR(binder.status());
  return weights;
}

}  // namespace tilewise::runtime
