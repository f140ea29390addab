#include "compile/draft.h"

#include <array>
#include <utility>

#include "artifact/schema.h"
#include "artifact/tensor_names.h"

namespace tilewise::compile {
namespace {

using artifact::exit_tensor;
using artifact::head_tensor;
using artifact::layer_tensor;
using model::EncoderSpec;

class SlotList {
 public:
  explicit SlotList(const Draft& draft) : draft_(draft) {}

  void linear(const std::string& name, model::LinearWeights& weights, int64_t outputs,
              int64_t inputs) {
    slots_.push_back({name + ".weight", &weights.weight, {outputs, inputs}});
    slots_.push_back({name + ".bias", &weights.bias, {outputs}});
  }

  void norm(const std::string& name, model::NormWeights& weights, int64_t width) {
    slots_.push_back({name + ".gain", &weights.gain, {width}});
    slots_.push_back({name + ".bias", &weights.bias, {width}});
  }

  void table(const std::string& name, model::Tensor& tensor, int64_t rows, int64_t columns) {
    slots_.push_back({name, &tensor, {rows, columns}});
  }

  void embeddings(model::EncoderWeights& weights, const EncoderSpec& spec) {
    const int64_t width = spec.embedding_width();
    table("embeddings.word", weights.word_embeddings, spec.vocab_size, width);
    if (spec.positions == model::Positions::learned) {
      table("embeddings.position", weights.position_embeddings, spec.max_positions, width);
    }
    if (spec.token_types > 0) {
      table("embeddings.type", weights.type_embeddings, spec.token_types, width);
    }
    norm("embeddings.norm", weights.embedding_norm, width);
    if (spec.embedding_size > 0) {
      linear("embeddings.projection", weights.embedding_projection, spec.hidden, width);
    }
  }

  /// What attention knows of positions: as the checkpoint has it, later as tables.
  void positions(Draft& draft, const EncoderSpec& spec) {
    if (spec.relative_buckets > 0) {
      if (draft.has_position_tables) {
        table("attention.relative_bias", draft.relative_bias, spec.heads,
              2 * artifact::relative_span(spec));
      } else {
        table("relative_bias", draft.model.weights.relative_bias, spec.relative_buckets,
              spec.heads);
      }
    }
    if (spec.positions != model::Positions::rotary || !draft.has_position_tables) return;
    rotary("rotary.global", draft.rotary_global, spec);
    if (spec.window > 0) rotary("rotary.local", draft.rotary_local, spec);
  }

  void final_norm(model::EncoderWeights& weights, const EncoderSpec& spec) {
    if (spec.norm_placement != model::NormPlacement::pre) return;
    norm("final_norm", weights.final_norm, spec.hidden);
  }

  /// `qkv`: null while query, key and value are still apart.
  void layer(int index, model::LayerWeights& weights, model::LinearWeights* qkv,
             const EncoderSpec& spec) {
    const int64_t width = spec.hidden;
    const int64_t section = artifact::qkv_section(spec);
    if (qkv != nullptr) {
      encoder_linear(4 * index, layer_tensor(index, "qkv"), *qkv, 3 * section, width);
    } else {
      linear(layer_tensor(index, "query"), weights.query, width, width);
      linear(layer_tensor(index, "key"), weights.key, width, width);
      linear(layer_tensor(index, "value"), weights.value, width, width);
    }
    encoder_linear(4 * index + 1, layer_tensor(index, "attention_output"), weights.attention_output,
                   width, qkv != nullptr ? section : width);
    if (spec.has_attention_norm(index)) {
      norm(layer_tensor(index, "attention_norm"), weights.attention_norm, width);
    }
    encoder_linear(4 * index + 2, layer_tensor(index, "ffn_up"), weights.ffn_up,
                   spec.ffn_up_outputs(), width);
    encoder_linear(4 * index + 3, layer_tensor(index, "ffn_down"), weights.ffn_down, width,
                   spec.intermediate);
    norm(layer_tensor(index, "ffn_norm"), weights.ffn_norm, width);
  }

  void head(model::TaskWithHead& entry, const EncoderSpec& spec) {
    const model::Task& task = entry.task;
    model::Head& head = *entry.head;
    if (head.dense) {
      linear(head_tensor(task.name, "dense"), head.dense->linear, spec.hidden, spec.hidden);
      if (head.dense->norm) {
        norm(head_tensor(task.name, "dense.norm"), *head.dense->norm, spec.hidden);
      }
    }
    linear(head_tensor(task.name, "output"), head.output, task.outputs(), spec.hidden);
    for (size_t i = 0; i < entry.exits.size(); ++i) {
      linear(exit_tensor(task.name, task.exits[i].after_layer), entry.exits[i], task.outputs(),
             spec.hidden);
    }
  }

  std::vector<Slot> take() { return std::move(slots_); }

 private:
  void rotary(const std::string& name, RotaryTables& tables, const EncoderSpec& spec) {
    table(name + ".cosines", tables.cosines, spec.max_positions, spec.head_dim() / 2);
    table(name + ".sines", tables.sines, spec.max_positions, spec.head_dim() / 2);
  }

  /// As linear(), but for layers that are int8 already.
  void encoder_linear(int index, const std::string& name, model::LinearWeights& weights,
                      int64_t outputs, int64_t inputs) {
    const auto at = static_cast<size_t>(index);
    const bool is_int8 = at < draft_.int8.size() && draft_.int8[at].has_value();
    if (!is_int8) linear(name, weights, outputs, inputs);
  }

  const Draft& draft_;
  std::vector<Slot> slots_;
};

}  // namespace

std::vector<Slot> slots(Draft& draft) {
  if (draft.is_packed) return {};
  const EncoderSpec& spec = draft.model.spec;
  auto& layers = draft.model.weights.layers;
  SlotList list(draft);
  list.embeddings(draft.model.weights, spec);
  list.positions(draft, spec);
  for (size_t i = 0; i < layers.size(); ++i) {
    list.layer(static_cast<int>(i), layers[i], draft.qkv.empty() ? nullptr : &draft.qkv[i], spec);
  }
  list.final_norm(draft.model.weights, spec);
  for (model::TaskWithHead& task : draft.model.tasks) {
    if (task.head) list.head(task, spec);
  }
  return list.take();
}

model::LinearWeights& linear_weights(Draft& draft, size_t index) {
  const size_t layer = index / 4;
  model::LayerWeights& weights = draft.model.weights.layers[layer];
  const std::array parts = {&draft.qkv[layer], &weights.attention_output, &weights.ffn_up,
                            &weights.ffn_down};
  return *parts[index % 4];
}

}  // namespace tilewise::compile
