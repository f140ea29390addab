// The model on its way through the passes. Private to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "artifact/metadata.h"
#include "artifact/writer.h"
#include "model/model.h"

namespace tilewise::compile {

struct Draft {
  model::Model model;  ///< fp32; weights leave it when they are fused or packed
  artifact::Metadata metadata;
  std::vector<model::LinearWeights> qkv;  ///< a layer each, from fuse_qkv on: [3 S, H] and [3 S]
  bool is_packed = false;                 ///< all weights have become tensors
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

}  // namespace tilewise::compile
