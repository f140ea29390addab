// A small model of random weights for the tests of this folder: its artifact, and its forward pass
// as a plain fp64 loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/encoder_spec.h"
#include "model/precision.h"
#include "model/task.h"

namespace tilewise::runtime {

/// Weights as nn.Linear keeps them: weight [outputs][inputs], bias [outputs].
struct RandomLinear {
  int outputs = 0;
  int inputs = 0;
  std::vector<float> weight;
  std::vector<float> bias;
};

struct RandomNorm {
  std::vector<float> gain;
  std::vector<float> bias;
};

struct RandomLayer {
  RandomLinear query, key, value, attention_output, ffn_up, ffn_down;
  RandomNorm attention_norm, ffn_norm;
};

struct RandomModel {
  model::EncoderSpec spec;
  std::vector<float> word, position, type;
  RandomNorm embedding_norm;
  RandomLinear projection;           ///< of the embeddings, where they have a width of their own
  std::vector<float> relative_bias;  ///< [heads][2 max_positions - 1], by key - query; or empty
  std::vector<RandomLayer> layers;
  RandomNorm final_norm;
  RandomLinear dense, output;
  model::Activation dense_activation = model::Activation::tanh;
  std::optional<RandomNorm> dense_norm;

  /// Tasks: "vector" (embedding, mean), "first" (embedding, cls), "classes" (multiclass, mean,
  /// dense tanh before it; the test may set another activation and a norm).
  static RandomModel make(const model::EncoderSpec& spec, uint32_t seed);

  /// The model whose weights are those of the int8 layers of write(int8): what is left is the
  /// rounding of the activations.
  RandomModel rounded_to_int8() const;

  /// Writes the artifact; the path of the file. int8: in the first layer attention_output stays
  /// bf16 and qkv is smoothed; ffn_down is quantised from a floor, unless it follows a gate.
  std::string write(model::Precision precision, const std::string& path,
                    const std::string& without_tensor = "") const;

  /// What attention adds to the scores of a query and a key so far behind it.
  double bias_of(int head, int distance) const;

  /// What goes on behind the first `depth` layers, of one sequence in fp64, row-major.
  std::vector<double> residual_stream(const std::vector<int32_t>& ids,
                                      const std::vector<int32_t>& types, int depth) const;
  /// The last hidden state.
  std::vector<double> hidden_states(const std::vector<int32_t>& ids,
                                    const std::vector<int32_t>& types) const;
  std::vector<double> pooled(const std::vector<double>& hidden, model::Pooling pooling) const;
  std::vector<double> classes(const std::vector<double>& pooled) const;
};

inline constexpr int kRandomClasses = 5;

}  // namespace tilewise::runtime
