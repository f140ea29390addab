// A model in memory, in fp32, as it came from a checkpoint: the input of the compiler. Plain data,
// no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/encoder_spec.h"
#include "model/task.h"
#include "model/tokenizer_spec.h"

namespace tilewise::model {

/// Row-major fp32.
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

/// y = x W^T + b, as PyTorch's nn.Linear stores it: weight [outputs, inputs], bias [outputs]. A
/// checkpoint without a bias has zeros here.
struct LinearWeights {
  Tensor weight;
  Tensor bias;
};

/// Layer normalisation: gain and bias [H]; without a bias in the checkpoint: zeros.
struct NormWeights {
  Tensor gain;
  Tensor bias;
};

struct LayerWeights {
  LinearWeights query, key, value;  ///< [H, H]
  LinearWeights attention_output;   ///< [H, H]
  NormWeights attention_norm;       ///< empty in the first layer where norms stand before (`pre`)
  LinearWeights ffn_up;             ///< [F, H]; gated: [2 F, H]
  LinearWeights ffn_down;           ///< [H, F]
  NormWeights ffn_norm;
};

struct EncoderWeights {
  Tensor word_embeddings;              ///< [V, E]
  Tensor position_embeddings;          ///< [P, E]; empty with rotary positions
  Tensor type_embeddings;              ///< [token_types, E]; empty where the family has none
  NormWeights embedding_norm;          ///< [E]
  LinearWeights embedding_projection;  ///< [H, E]; empty where E = H
  Tensor relative_bias;  ///< [relative_buckets, heads], as the checkpoint has it; or empty
  std::vector<LayerWeights> layers;
  NormWeights final_norm;  ///< behind the last layer where norms stand before (`pre`); else empty
};

/// The linear layers of a block, to say which one an adapter changes.
enum class LinearRole { query, key, value, attention_output, ffn_up, ffn_down };

/// One low-rank update: W + scale * B A (Hu et al. 2021, "LoRA"). a [rank, inputs], b [outputs,
/// rank].
struct LoraUpdate {
  int32_t layer = 0;
  LinearRole role = LinearRole::query;
  float scale = 1;
  Tensor a;
  Tensor b;
};

/// What follows the pooled vector: optionally a dense layer with its activation (BERT's pooler,
/// DistilBERT's pre-classifier), then the output layer [outputs, H].
struct Head {
  struct Dense {
    LinearWeights linear;
    Activation activation = Activation::tanh;
    std::optional<NormWeights> norm = {};  ///< behind the activation (ModernBERT)
  };
  std::optional<Dense> dense;
  LinearWeights output;
};

struct TaskWithHead {
  Task task;
  std::optional<Head> head;               ///< nullopt for an embedding task
  std::vector<LinearWeights> exits = {};  ///< [outputs, H], one for each of task.exits
};

/// Where the weights came from; recorded in the artifact. Hashes are of file contents, never paths
/// or times.
struct Provenance {
  std::string architecture;  ///< config.json's architecture, "BertModel"
  struct Source {
    std::string file;    ///< base name, "model.safetensors"
    std::string sha256;  ///< hexadecimal
    bool operator==(const Source&) const = default;
  };
  std::vector<Source> sources;
  bool operator==(const Provenance&) const = default;
};

struct Model {
  EncoderSpec spec;
  EncoderWeights weights;
  std::vector<LoraUpdate> adapter;  ///< empty: none, or already merged
  std::vector<TaskWithHead> tasks;
  TokenizerSpec tokenizer;
  Provenance provenance;
};

}  // namespace tilewise::model
