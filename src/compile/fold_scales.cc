#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "compile/passes.h"

namespace tilewise::compile {

Result<std::string> fold_scales(Draft& draft) {
  // A literal over a square root, which IEEE 754 rounds correctly: the same on every machine.
  const double factor =
      std::numbers::log2e / std::sqrt(static_cast<double>(draft.model.spec.head_dim()));
  for (model::LayerWeights& layer : draft.model.weights.layers) {
    for (model::Tensor* tensor : {&layer.query.weight, &layer.query.bias}) {
      for (float& value : tensor->values) value = static_cast<float>(value * factor);
    }
  }
  return fmt::format("log2(e) / sqrt({}) into the query of {} layers", draft.model.spec.head_dim(),
                     draft.model.weights.layers.size());
}

}  // namespace tilewise::compile
