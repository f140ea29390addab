#include <utility>

#include <fmt/format.h>

#include "artifact/schema.h"
#include "compile/passes.h"

namespace tilewise::compile {

Result<std::string> quantize_weights(Draft& draft) {
  const artifact::Metadata& metadata = draft.metadata;
  size_t count = 0;
  draft.int8.resize(metadata.linears.size());
  for (size_t i = 0; i < metadata.linears.size(); ++i) {
    if (metadata.linears[i].precision != model::Precision::int8) continue;
    model::LinearWeights& linear = linear_weights(draft, i);
    draft.int8[i] = quantize(linear, std::move(draft.inputs[i]));
    linear = {};
    ++count;
  }
  draft.metadata.numerics.push_back(
      {"linear layers in int8",
       "int8: weights with one scale an output, inputs with one scale a token, exact sums"});
  return fmt::format("{} of {} linear layers, {:.1f} % of their arithmetic", count,
                     metadata.linears.size(), 100 * artifact::int8_share(metadata));
}

}  // namespace tilewise::compile
