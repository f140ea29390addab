#include "runtime/weights.h"

#include <string>

#include "artifact/tensor_names.h"
#include "kernels/pack.h"

namespace tilewise::runtime {
namespace {

using artifact::Artifact;
using artifact::DataType;
using artifact::Layout;
using model::Precision;

DataType data_type(Precision precision) {
  return precision == Precision::bf16 ? DataType::bf16 : DataType::f32;
}

/// Looks tensors up by name; the first that is missing or does not fit ends the binding.
class Binder {
 public:
  explicit Binder(const Artifact& artifact) : artifact_(artifact) {}

  const float* floats(const std::string& name, const std::vector<int64_t>& shape) {
    return static_cast<const float*>(find(name, DataType::f32, Layout::rows, shape));
  }

  const void* rows(const std::string& name, Precision precision,
                   const std::vector<int64_t>& shape) {
    return find(name, data_type(precision), Layout::rows, shape);
  }

  Linear linear(const std::string& name, int64_t n, int64_t k, Precision precision) {
    Linear linear;
    linear.weights = find(name + ".weight", data_type(precision), Layout::panels, {n, k});
    linear.n = static_cast<int32_t>(kernels::padded_n(n));
    linear.k = static_cast<int32_t>(kernels::padded_k(k, precision));
    linear.bias = floats(name + ".bias", {linear.n});
    return linear;
  }

  Norm norm(const std::string& name, int64_t width) {
    return {floats(name + ".gain", {width}), floats(name + ".bias", {width})};
  }

  const Status& status() const { return status_; }

 private:
  const void* find(const std::string& name, DataType type, Layout layout,
                   const std::vector<int64_t>& shape) {
    if (!status_.ok()) return nullptr;
    const auto found = artifact_.require(name, type, layout, shape);
    if (found.ok()) return (*found)->data.data();
    status_ = found.status();
    return nullptr;
  }

  const Artifact& artifact_;
  Status status_;
};

Layer bind_layer(Binder& binder, const Weights& weights, int index) {
  const auto& spec = weights.spec;
  const auto precision = weights.precision;
  const auto name = [&](const char* part) { return artifact::layer_tensor(index, part); };
  Layer layer;
  layer.qkv = binder.linear(name("qkv"), 3 * int64_t{weights.section}, spec.hidden, precision);
  layer.attention_output =
      binder.linear(name("attention_output"), spec.hidden, weights.section, precision);
  layer.attention_norm = binder.norm(name("attention_norm"), spec.hidden);
  layer.ffn_up = binder.linear(name("ffn_up"), spec.intermediate, spec.hidden, precision);
  layer.ffn_down = binder.linear(name("ffn_down"), spec.hidden, spec.intermediate, precision);
  layer.ffn_norm = binder.norm(name("ffn_norm"), spec.hidden);
  return layer;
}

std::optional<Head> bind_head(Binder& binder, const artifact::TaskEntry& entry, int64_t hidden) {
  if (entry.task.kind == model::TaskKind::embedding) return std::nullopt;
  Head head;
  if (entry.has_dense) {
    head.dense = Head::Dense{binder.linear(artifact::head_tensor(entry.task.name, "dense"), hidden,
                                           hidden, Precision::fp32),
                             entry.dense_activation};
  }
  head.outputs = entry.task.outputs();
  head.output = binder.linear(artifact::head_tensor(entry.task.name, "output"), head.outputs,
                              hidden, Precision::fp32);
  return head;
}

}  // namespace

Result<Weights> bind(const Artifact& artifact) {
  const artifact::Metadata& metadata = artifact.metadata();
  if (metadata.precision == Precision::int8) {
    return unsupported({.what = "this version has no int8 kernels",
                        .where = artifact.name(),
                        .expected = "an artifact in bf16 or fp32",
                        .found = "int8",
                        .remedy = "Compile the checkpoint with --precision bf16"});
  }
  Weights weights;
  weights.spec = metadata.spec;
  weights.precision = metadata.precision;
  weights.section = static_cast<int32_t>(kernels::padded_n(metadata.spec.hidden));

  Binder binder(artifact);
  const model::EncoderSpec& spec = weights.spec;
  weights.word_embeddings =
      binder.rows("embeddings.word", weights.precision, {spec.vocab_size, spec.hidden});
  weights.position_embeddings =
      binder.floats("embeddings.position", {spec.max_positions, spec.hidden});
  if (spec.token_types > 0) {
    weights.type_embeddings = binder.floats("embeddings.type", {spec.token_types, spec.hidden});
  }
  weights.embedding_norm = binder.norm("embeddings.norm", spec.hidden);
  for (int i = 0; i < spec.layers; ++i) weights.layers.push_back(bind_layer(binder, weights, i));
  for (const auto& entry : metadata.tasks) {
    weights.heads.push_back(bind_head(binder, entry, spec.hidden));
  }
  TILEWISE_RETURN_IF_ERROR(binder.status());
  return weights;
}

}  // namespace tilewise::runtime
