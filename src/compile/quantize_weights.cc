#include <utility>

#include <fmt/format.h>

#include "artifact/schema.h"
#include "compile/passes.h"

namespace tilewise::compile {

Result<std::string> quantize_weights(Draft& draft) {
  const auto layers = artifact::linear_layers(draft.metadata.spec);
  double weights = 0;
  double int8_weights = 0;
  size_t int8_layers = 0;
  draft.int8.resize(layers.size());
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto size = static_cast<double>(layers[i].outputs * layers[i].inputs);
    weights += size;
    if (draft.metadata.linears[i].precision != model::Precision::int8) continue;
    model::LinearWeights& linear = linear_weights(draft, i);
    draft.int8[i] = quantize(linear, std::move(draft.inputs[i]));
    linear = {};
    int8_weights += size;
    ++int8_layers;
  }
  draft.metadata.numerics.push_back(
      {fmt::format("{} of {} linear layers", int8_layers, layers.size()),
       "int8: weights with one scale an output, inputs with one scale a token, exact sums"});
  return fmt::format("{} of {} linear layers, {:.1f} % of their arithmetic", int8_layers,
                     layers.size(), 100 * int8_weights / weights);
}

}  // namespace tilewise::compile
