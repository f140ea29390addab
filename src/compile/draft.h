// The model on its way through the passes. Private to this folder.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "artifact/metadata.h"
#include "artifact/writer.h"
#include "compile/compile.h"
#include "compile/quantize.h"
#include "model/model.h"

namespace tilewise::compile {

/// [max_positions, head_dim / 2] each.
struct RotaryTables {
  model::Tensor cosines;
  model::Tensor sines;
};

struct Draft {
  model::Model model;  ///< fp32; weights leave it when they are fused or packed
  artifact::Metadata metadata;
  std::vector<model::LinearWeights> qkv;  ///< a layer each, from fuse_qkv on: [3 S, H] and [3 S]
  /// From tabulate_positions on, where the encoder has them.
  bool has_position_tables = false;
  model::Tensor relative_bias;  ///< [heads, 2 span], FORMAT.md; takes the place of the weights' own
  RotaryTables rotary_global;
  RotaryTables rotary_local;
  std::span<const Calibration> calibration;  ///< the rows that were given
  double most_error = 0;                     ///< what int8 may cost: Options::most_error
  std::vector<RejectedRows> rejected;
  /// Precision int8: an entry a linear layer, in the order of metadata.linears.
  std::vector<InputQuantization> inputs;
  std::vector<std::optional<Int8Linear>> int8;  ///< from quantize on; nullopt: stays bf16
  bool is_packed = false;                       ///< all weights have become tensors
  std::vector<artifact::OutputTensor> tensors;  ///< what will be written, in order
};

/// A weight that the draft still holds in fp32, with the shape that it must have.
struct Slot {
  std::string name;  ///< the artifact's name, or like it where the artifact has none
                     ///< ("layers.0.query.weight")
  model::Tensor* tensor = nullptr;
  std::vector<int64_t> shape;
};

/// All fp32 weights that are not packed yet, in the artifact's order. Valid until the draft
/// changes.
std::vector<Slot> slots(Draft& draft);

/// The weights of a linear layer of the encoder, by its index in artifact::linear_layers. From
/// fuse_qkv on.
model::LinearWeights& linear_weights(Draft& draft, size_t index);

}  // namespace tilewise::compile
