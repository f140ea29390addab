#include "artifact/schema.h"

#include <utility>

#include "artifact/tensor_names.h"

namespace tilewise::artifact {
namespace {

using model::EncoderSpec;

constexpr int64_t kPanelColumns = 32;
constexpr int64_t kInt8Step = 64;  // K of an int8 layer is a multiple of it

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

int64_t padded(int64_t columns) { return round_up(columns, kPanelColumns); }

constexpr int64_t kLinearsPerLayer = 4;

class SpecList {
 public:
  explicit SpecList(const Metadata& metadata)
      : metadata_(metadata), linears_(linear_layers(metadata.spec)) {
    // int8 models keep what is not a linear layer in bf16.
    if (metadata.precision != model::Precision::fp32) precision_ = DataType::bf16;
  }

  void rows(std::string name, DataType type, std::vector<int64_t> shape) {
    specs_.push_back({std::move(name), type, Layout::rows, std::move(shape)});
  }

  /// NAME.gain and NAME.bias.
  void norm(const std::string& name, int64_t width) {
    rows(name + ".gain", DataType::f32, {width});
    rows(name + ".bias", DataType::f32, {width});
  }

  /// NAME.weight and NAME.bias.
  void linear(const std::string& name, DataType type, int64_t outputs, int64_t inputs) {
    specs_.push_back({name + ".weight", type, Layout::panels, {outputs, inputs}});
    rows(name + ".bias", DataType::f32, {padded(outputs)});
  }

  void int8_linear(const LinearLayer& layer, bool is_smoothed) {
    const int64_t outputs = padded(layer.outputs);
    specs_.push_back(
        {layer.name + ".weight", DataType::s8, Layout::panels, {layer.outputs, layer.inputs}});
    rows(layer.name + ".scale", DataType::f32, {outputs});
    rows(layer.name + ".sums", DataType::s32, {outputs});
    if (is_smoothed) {
      rows(layer.name + ".smooth", DataType::f32, {round_up(layer.inputs, kInt8Step)});
    }
    rows(layer.name + ".bias", DataType::f32, {outputs});
  }

  /// The encoder's linear layer of that index, in its own precision.
  void encoder_linear(size_t index) {
    const LinearLayer& layer = linears_[index];
    const bool is_int8 = metadata_.precision == model::Precision::int8 &&
                         metadata_.linears[index].precision == model::Precision::int8;
    if (is_int8) {
      int8_linear(layer, metadata_.linears[index].is_smoothed);
    } else {
      linear(layer.name, precision_, layer.outputs, layer.inputs);
    }
  }

  void embeddings() {
    const EncoderSpec& spec = metadata_.spec;
    const int64_t width = spec.embedding_width();
    rows("embeddings.word", precision_, {spec.vocab_size, width});
    if (spec.positions == model::Positions::learned) {
      rows("embeddings.position", DataType::f32, {spec.max_positions, width});
    }
    if (spec.token_types > 0) {
      rows("embeddings.type", DataType::f32, {spec.token_types, width});
    }
    norm("embeddings.norm", width);
    if (spec.embedding_size > 0) {
      linear("embeddings.projection", precision_, spec.hidden, width);
    }
  }

  /// What attention knows of positions.
  void positions() {
    const EncoderSpec& spec = metadata_.spec;
    if (spec.relative_buckets > 0) {
      rows("attention.relative_bias", DataType::f32, {spec.heads, 2 * relative_span(spec)});
    }
    if (spec.positions != model::Positions::rotary) return;
    rotary("rotary.global");
    if (spec.window > 0) rotary("rotary.local");
  }

  void layer(int index) {
    const size_t first = static_cast<size_t>(index) * kLinearsPerLayer;
    encoder_linear(first);
    encoder_linear(first + 1);
    if (metadata_.spec.has_attention_norm(index)) {
      norm(layer_tensor(index, "attention_norm"), metadata_.spec.hidden);
    }
    encoder_linear(first + 2);
    encoder_linear(first + 3);
    norm(layer_tensor(index, "ffn_norm"), metadata_.spec.hidden);
  }

  void final_norm() {
    if (metadata_.spec.norm_placement == model::NormPlacement::pre) {
      norm("final_norm", metadata_.spec.hidden);
    }
  }

  void head(const TaskEntry& entry) {
    const EncoderSpec& spec = metadata_.spec;
    const std::string& task = entry.task.name;
    if (entry.has_dense) {
      linear(head_tensor(task, "dense"), DataType::f32, spec.hidden, spec.hidden);
    }
    if (entry.dense_norm) norm(head_tensor(task, "dense.norm"), spec.hidden);
    if (entry.task.outputs() > 0) {
      linear(head_tensor(task, "output"), DataType::f32, entry.task.outputs(), spec.hidden);
    }
    for (const model::Exit& exit : entry.task.exits) {
      linear(exit_tensor(task, exit.after_layer), DataType::f32, entry.task.outputs(), spec.hidden);
    }
  }

  std::vector<TensorSpec> take() { return std::move(specs_); }

 private:
  void rotary(const std::string& name) {
    const EncoderSpec& spec = metadata_.spec;
    rows(name + ".cosines", DataType::f32, {spec.max_positions, spec.head_dim() / 2});
    rows(name + ".sines", DataType::f32, {spec.max_positions, spec.head_dim() / 2});
  }

  const Metadata& metadata_;
  std::vector<LinearLayer> linears_;
  DataType precision_ = DataType::f32;
  std::vector<TensorSpec> specs_;
};

}  // namespace

int32_t qkv_section(const EncoderSpec& spec) { return static_cast<int32_t>(padded(spec.hidden)); }

std::vector<LinearLayer> linear_layers(const EncoderSpec& spec) {
  const int64_t section = qkv_section(spec);
  std::vector<LinearLayer> layers;
  for (int i = 0; i < spec.layers; ++i) {
    layers.push_back({layer_tensor(i, "qkv"), 3 * section, spec.hidden});
    layers.push_back({layer_tensor(i, "attention_output"), spec.hidden, section});
    layers.push_back({layer_tensor(i, "ffn_up"), spec.ffn_up_outputs(), spec.hidden});
    layers.push_back({layer_tensor(i, "ffn_down"), spec.hidden, spec.intermediate});
  }
  return layers;
}

double int8_share(const Metadata& metadata) {
  double all = 0;
  double int8 = 0;
  const auto layers = linear_layers(metadata.spec);
  for (size_t i = 0; i < metadata.linears.size(); ++i) {
    const auto size = static_cast<double>(layers[i].outputs * layers[i].inputs);
    all += size;
    if (metadata.linears[i].precision == model::Precision::int8) int8 += size;
  }
  return all > 0 ? int8 / all : 0;
}

std::vector<TensorSpec> tensor_specs(const Metadata& metadata) {
  SpecList list(metadata);
  list.embeddings();
  list.positions();
  for (int i = 0; i < metadata.spec.layers; ++i) list.layer(i);
  list.final_norm();
  for (const TaskEntry& entry : metadata.tasks) list.head(entry);
  return list.take();
}

}  // namespace tilewise::artifact
