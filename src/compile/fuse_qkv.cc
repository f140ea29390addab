#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "artifact/schema.h"
#include "compile/passes.h"

namespace tilewise::compile {
namespace {

using model::LayerWeights;
using model::LinearWeights;
using model::Tensor;

LinearWeights fuse(LayerWeights& layer, int64_t section, int64_t width) {
  const auto height = static_cast<size_t>(3 * section);
  LinearWeights fused;
  fused.weight = {{3 * section, width}, std::vector<float>(height * static_cast<size_t>(width))};
  fused.bias = {{3 * section}, std::vector<float>(height)};
  int64_t row = 0;
  for (LinearWeights* part : {&layer.query, &layer.key, &layer.value}) {
    std::ranges::copy(part->weight.values, fused.weight.values.begin() + row * width);
    std::ranges::copy(part->bias.values, fused.bias.values.begin() + row);
    *part = {};
    row += section;
  }
  return fused;
}

/// [rows, columns] -> [rows, wider], with zeros in the new columns.
void widen(Tensor& tensor, int64_t wider) {
  const int64_t rows = tensor.shape[0];
  const int64_t columns = tensor.shape[1];
  if (columns == wider) return;
  Tensor result{{rows, wider}, std::vector<float>(static_cast<size_t>(rows * wider))};
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(tensor.values.begin() + row * columns, columns,
                result.values.begin() + row * wider);
  }
  tensor = std::move(result);
}

}  // namespace

Result<std::string> fuse_qkv(Draft& draft) {
  const int64_t width = draft.model.spec.hidden;
  const int64_t section = artifact::qkv_section(draft.model.spec);
  for (LayerWeights& layer : draft.model.weights.layers) {
    draft.qkv.push_back(fuse(layer, section, width));
    widen(layer.attention_output.weight, section);
  }
  return fmt::format("{} layers, sections of {} columns", draft.qkv.size(), section);
}

}  // namespace tilewise::compile
