// A small model of made-up weights, the same on every machine, for the tests of this folder. Its
// sizes are no multiples of 32, so that all padding is exercised.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model.h"

namespace tilewise::compile {

/// Multiples of 2^-18 in [-0.125, 0.125): exact in fp32, not in bf16, without any library function.
class Numbers {
 public:
  float next() {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return (static_cast<float>(state_ >> 48) - 32768.0f) / 262144.0f;
  }

  model::Tensor tensor(std::vector<int64_t> shape) {
    size_t count = 1;
    for (const int64_t dimension : shape) count *= static_cast<size_t>(dimension);
    model::Tensor tensor{std::move(shape), std::vector<float>(count)};
    for (float& value : tensor.values) value = next();
    return tensor;
  }

  model::LinearWeights linear(int64_t outputs, int64_t inputs) {
    model::LinearWeights weights;
    weights.weight = tensor({outputs, inputs});
    weights.bias = tensor({outputs});
    return weights;
  }

  model::NormWeights norm(int64_t width) {
    model::NormWeights weights;
    weights.gain = tensor({width});
    weights.bias = tensor({width});
    for (float& gain : weights.gain.values) gain += 1;
    return weights;
  }

 private:
  uint64_t state_ = 20240229;
};

inline model::LayerWeights synthetic_layer(Numbers& numbers, const model::EncoderSpec& spec) {
  model::LayerWeights layer;
  layer.query = numbers.linear(spec.hidden, spec.hidden);
  layer.key = numbers.linear(spec.hidden, spec.hidden);
  layer.value = numbers.linear(spec.hidden, spec.hidden);
  layer.attention_output = numbers.linear(spec.hidden, spec.hidden);
  layer.attention_norm = numbers.norm(spec.hidden);
  layer.ffn_up = numbers.linear(spec.intermediate, spec.hidden);
  layer.ffn_down = numbers.linear(spec.hidden, spec.intermediate);
  layer.ffn_norm = numbers.norm(spec.hidden);
  return layer;
}

inline std::vector<model::TaskWithHead> synthetic_tasks(Numbers& numbers, int64_t hidden) {
  model::TaskWithHead duplicate;
  duplicate.task.name = "duplicate";
  duplicate.task.kind = model::TaskKind::binary;
  duplicate.task.input = model::InputKind::pair;
  duplicate.task.labels = {"duplicate"};
  duplicate.task.max_tokens = 24;
  duplicate.task.threshold = -0.25f;
  duplicate.task.record_template.fields = {{"title", "COL title VAL "}};
  duplicate.head = model::Head{
      .dense = model::Head::Dense{numbers.linear(hidden, hidden), model::Activation::relu},
      .output = numbers.linear(1, hidden)};
  model::TaskWithHead intent;
  intent.task.name = "intent";
  intent.task.kind = model::TaskKind::multiclass;
  intent.task.labels = {"order", "return", "caf\u00e9"};
  intent.task.max_tokens = 16;
  intent.task.out_of_scope = model::OutOfScope{.below = 9.99f};
  intent.head = model::Head{.dense = {}, .output = numbers.linear(3, hidden)};
  model::TaskWithHead vector;
  vector.task.name = "vector";
  vector.task.max_tokens = 24;
  vector.task.normalize = true;
  return {duplicate, intent, vector};
}

inline model::TokenizerSpec synthetic_tokenizer() {
  model::TokenizerSpec tokenizer;
  tokenizer.vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "col", "title", "val",
                          "tea",   "pot",   "##pot", "##s",   "red", "blue"};
  for (char c = 'a'; c <= 'z'; ++c) tokenizer.vocabulary.emplace_back(1, c);
  tokenizer.pad_id = 0;
  tokenizer.unknown_id = 1;
  tokenizer.cls_id = 2;
  tokenizer.sep_id = 3;
  for (int32_t id = 0; id < 4; ++id) {
    tokenizer.added_tokens.push_back(
        {.id = id, .content = tokenizer.vocabulary[static_cast<size_t>(id)], .special = true});
  }
  return tokenizer;
}

/// Two layers of width 40 with 5 heads: sections of 64 columns, of which 24 are padding.
inline model::Model synthetic_model() {
  Numbers numbers;
  model::Model model;
  model.spec = {.family = "bert",
                .vocab_size = 45,
                .hidden = 40,
                .layers = 2,
                .heads = 5,
                .intermediate = 72,
                .max_positions = 24,
                .token_types = 2,
                .activation = model::Activation::gelu_erf,
                .norm_epsilon = 1e-12f};
  model::EncoderWeights& weights = model.weights;
  weights.word_embeddings = numbers.tensor({45, 40});
  weights.position_embeddings = numbers.tensor({24, 40});
  weights.type_embeddings = numbers.tensor({2, 40});
  weights.embedding_norm = numbers.norm(40);
  for (int i = 0; i < 2; ++i) weights.layers.push_back(synthetic_layer(numbers, model.spec));
  model.tasks = synthetic_tasks(numbers, 40);
  model.tokenizer = synthetic_tokenizer();
  model.provenance.architecture = "BertModel";
  model.provenance.sources = {{"model.safetensors", std::string(64, 'a')}};
  return model;
}

/// An exit behind the first layer for both tasks that take exits, with weights of its own.
inline void add_exits(model::Model& model) {
  Numbers numbers;
  for (model::TaskWithHead& entry : model.tasks) {
    model::Task& task = entry.task;
    if (task.kind == model::TaskKind::embedding) continue;
    task.exits = {{.after_layer = 1, .confidence = 0.75f, .temperature = 1.25f}};
    if (task.out_of_scope) task.exits[0].below = -0.5f;
    entry.exits = {numbers.linear(task.outputs(), model.spec.hidden)};
  }
}

/// Updates of rank 3 on linear layers of both shapes.
inline void add_adapter(model::Model& model) {
  Numbers numbers;
  model.adapter.push_back({.layer = 0,
                           .role = model::LinearRole::query,
                           .scale = 0.7f,
                           .a = numbers.tensor({3, 40}),
                           .b = numbers.tensor({40, 3})});
  model.adapter.push_back({.layer = 1,
                           .role = model::LinearRole::ffn_up,
                           .scale = 2,
                           .a = numbers.tensor({3, 40}),
                           .b = numbers.tensor({72, 3})});
  model.adapter.push_back({.layer = 1,
                           .role = model::LinearRole::ffn_down,
                           .scale = 2,
                           .a = numbers.tensor({3, 72}),
                           .b = numbers.tensor({40, 3})});
}

}  // namespace tilewise::compile
