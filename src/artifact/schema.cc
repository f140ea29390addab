#include "artifact/schema.h"

#include <utility>

#include "artifact/tensor_names.h"

namespace tilewise::artifact {
namespace {

using model::EncoderSpec;

constexpr int64_t kPanelColumns = 32;

int64_t padded(int64_t columns) {
  return (columns + kPanelColumns - 1) / kPanelColumns * kPanelColumns;
}

class SpecList {
 public:
  explicit SpecList(DataType precision) : precision_(precision) {}

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

  void embeddings(const EncoderSpec& spec) {
    rows("embeddings.word", precision_, {spec.vocab_size, spec.hidden});
    rows("embeddings.position", DataType::f32, {spec.max_positions, spec.hidden});
    if (spec.token_types > 0) {
      rows("embeddings.type", DataType::f32, {spec.token_types, spec.hidden});
    }
    norm("embeddings.norm", spec.hidden);
  }

  void layer(int index, const EncoderSpec& spec) {
    const int64_t section = qkv_section(spec);
    linear(layer_tensor(index, "qkv"), precision_, 3 * section, spec.hidden);
    linear(layer_tensor(index, "attention_output"), precision_, spec.hidden, section);
    norm(layer_tensor(index, "attention_norm"), spec.hidden);
    linear(layer_tensor(index, "ffn_up"), precision_, spec.intermediate, spec.hidden);
    linear(layer_tensor(index, "ffn_down"), precision_, spec.hidden, spec.intermediate);
    norm(layer_tensor(index, "ffn_norm"), spec.hidden);
  }

  void head(const TaskEntry& entry, const EncoderSpec& spec) {
    const std::string& task = entry.task.name;
    if (entry.has_dense) {
      linear(head_tensor(task, "dense"), DataType::f32, spec.hidden, spec.hidden);
    }
    if (entry.task.outputs() > 0) {
      linear(head_tensor(task, "output"), DataType::f32, entry.task.outputs(), spec.hidden);
    }
  }

  std::vector<TensorSpec> take() { return std::move(specs_); }

 private:
  DataType precision_;
  std::vector<TensorSpec> specs_;
};

}  // namespace

int32_t qkv_section(const EncoderSpec& spec) { return static_cast<int32_t>(padded(spec.hidden)); }

std::vector<TensorSpec> tensor_specs(const Metadata& metadata) {
  SpecList list(metadata.precision == model::Precision::bf16 ? DataType::bf16 : DataType::f32);
  list.embeddings(metadata.spec);
  for (int i = 0; i < metadata.spec.layers; ++i) list.layer(i, metadata.spec);
  for (const TaskEntry& entry : metadata.tasks) list.head(entry, metadata.spec);
  return list.take();
}

}  // namespace tilewise::artifact
