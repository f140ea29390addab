#include "compile/layer_inputs.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "artifact/schema.h"

namespace tilewise::compile {
namespace {

/// Rows that a layer's error is measured on: each gives hundreds of outputs, so this is plenty.
constexpr int64_t kSampledRows = 256;

size_t index_of(const runtime::LinearInput& input) {
  constexpr std::string_view kParts[] = {"qkv", "attention_output", "ffn_up", "ffn_down"};
  const auto part = std::ranges::find(kParts, std::string_view(input.part)) - kParts;
  return static_cast<size_t>(4 * input.layer + part);
}

}  // namespace

InputCollector::InputCollector(const Draft& draft, int64_t tokens)
    : step_((tokens + kSampledRows - 1) / kSampledRows), layers_(draft.inputs.size()) {
  const auto shapes = artifact::linear_layers(draft.metadata.spec);
  for (size_t i = 0; i < layers_.size(); ++i) {
    layers_[i].inputs.largest.resize(static_cast<size_t>(shapes[i].inputs));
    layers_[i].floor = draft.inputs[i].floor.value_or(0);
  }
}

void InputCollector::add(const runtime::LinearInput& input) {
  Layer& layer = layers_[index_of(input)];
  std::vector<float>& largest = layer.inputs.largest;
  std::vector<float>& rows = layer.inputs.rows;
  for (int32_t r = 0; r < input.count; ++r) {
    const auto* row = reinterpret_cast<const float*>(static_cast<const std::byte*>(input.rows) +
                                                     r * input.stride);
    for (int32_t i = 0; i < input.columns; ++i) {
      largest[i] = std::max(largest[i], std::abs(row[i] - layer.floor));
    }
    if (layer.seen++ % step_ != 0) continue;
    const size_t end = rows.size() + largest.size();  // attention's output may be padded
    rows.insert(rows.end(), row, row + input.columns);
    rows.resize(end);
  }
}

std::vector<LayerInputs> InputCollector::take() {
  std::vector<LayerInputs> inputs;
  for (Layer& layer : layers_) inputs.push_back(std::move(layer.inputs));
  return inputs;
}

}  // namespace tilewise::compile
