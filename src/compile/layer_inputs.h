// What the linear layers of an encoder read while rows run through it. Private to this folder.
#pragma once

#include <cstdint>
#include <vector>

#include "compile/draft.h"
#include "runtime/replica.h"

namespace tilewise::compile {

/// The inputs of one linear layer.
struct LayerInputs {
  std::vector<float> largest;  ///< by input: max |x - floor|, over all rows
  std::vector<float> rows;     ///< evenly spread rows, dense
};

/// Collects them; add() is a runtime::LinearObserver. The rows must come in fp32, and in one order.
class InputCollector {
 public:
  /// `tokens`: how many rows each layer will see.
  InputCollector(const Draft& draft, int64_t tokens);

  void add(const runtime::LinearInput& input);

  /// An entry a layer of artifact::linear_layers.
  std::vector<LayerInputs> take();

 private:
  struct Layer {
    LayerInputs inputs;
    float floor = 0;
    int64_t seen = 0;
  };
  int64_t step_;
  std::vector<Layer> layers_;
};

}  // namespace tilewise::compile
