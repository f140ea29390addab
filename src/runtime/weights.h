// The tensors of an artifact, bound to what the forward pass calls them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "artifact/reader.h"
#include "base/status.h"
#include "kernels/linear.h"
#include "model/encoder_spec.h"
#include "model/precision.h"
#include "model/task.h"
#include "runtime/sharing.h"

namespace tilewise::runtime {

/// Packed panels and bias; k and n are the padded sizes that the kernels see.
struct Linear {
  /// What a layer with weights of one byte has besides; see kernels/int8.h.
  struct Int8 {
    const float* scales = nullptr;         ///< n
    const int32_t* column_sums = nullptr;  ///< n
    const float* smooth = nullptr;         ///< k; null: all 1
    bool is_symmetric = true;
    float floor = 0;  ///< lower bound of the inputs where they are not symmetric
  };

  const void* weights = nullptr;
  const float* bias = nullptr;
  int32_t k = 0;
  int32_t n = 0;
  int32_t columns = 0;  ///< inputs that are not padding
  int64_t panel_bytes = 0;
  std::optional<Int8> int8;

  int32_t panels() const { return n / kernels::kPanelColumns; }
  const void* panel(int32_t index) const {
    return static_cast<const std::byte*>(weights) + index * panel_bytes;
  }
};

struct Norm {
  const float* gain = nullptr;
  const float* bias = nullptr;
};

/// The cosines and sines of rotary positions, a row of head_dim / 2 for each position; null: there
/// are none.
struct Rotary {
  const float* cosines = nullptr;
  const float* sines = nullptr;
};

struct Layer {
  Linear qkv;
  Rotary rotary;
  int32_t window = 0;  ///< of local attention; 0: global
  Linear attention_output;
  Norm after_attention;  ///< behind the first residual sum, whichever norm of the model that is
  Linear ffn_up;
  Linear ffn_down;
  Norm after_ffn;  ///< behind the second
};

struct Head {
  struct Dense {
    Linear linear;
    model::Activation activation = model::Activation::tanh;
    std::optional<Norm> norm = {};
  };
  struct Exit {
    model::Exit rule;
    Linear linear;
    float scale = 1;  ///< of its logits, so that the task's temperature makes its own of them
  };
  std::optional<Dense> dense;
  Linear output;
  int32_t outputs = 0;
  std::vector<Exit> exits;  ///< by after_layer, upwards

  /// Floats of an answer: with exits the layers that it took follow the outputs.
  int32_t width() const { return outputs + (exits.empty() ? 0 : 1); }
  const Exit* exit_after(int32_t layers) const {
    for (const Exit& exit : exits) {
      if (exit.rule.after_layer == layers) return &exit;
    }
    return nullptr;
  }
};

/// Views into the mapped artifact (and its lenders), which the owner keeps alive. Every tensor has
/// been checked for type, layout and shape.
struct Weights {
  model::EncoderSpec spec;
  model::Precision precision = model::Precision::fp32;
  model::Precision activations = model::Precision::fp32;  ///< between operations: fp32 or bf16
  int32_t section = 0;  ///< columns of each of Q, K, V: heads * head_dim rounded up to 32
  const void* word_embeddings = nullptr;
  const float* position_embeddings = nullptr;  ///< null where positions are rotary
  const float* type_embeddings = nullptr;      ///< null where the family has none
  Norm embedding_norm;
  std::optional<Linear> embedding_projection;
  const float* relative_bias = nullptr;  ///< of distance 0 in the first head; null: there is none
  int64_t relative_bias_stride = 0;      ///< floats between heads
  std::vector<Layer> layers;
  std::vector<std::optional<Head>> heads;  ///< one a task, nullopt for an embedding

  /// Floats of one sequence's answer: Head::width(), or hidden for an embedding.
  int32_t output_width(int32_t task) const {
    return heads[task] ? heads[task]->width() : spec.hidden;
  }
};

/// Errors: invalid_input naming the tensor that is missing or does not fit.
Result<Weights> bind(const artifact::Artifact& artifact);

/// The same with tensors from `source`, whose used() lenders the owner keeps open, too.
Result<Weights> bind(const artifact::Artifact& artifact, TensorSource& source);

}  // namespace tilewise::runtime
