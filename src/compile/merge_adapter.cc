#include <span>
#include <vector>

#include <fmt/format.h>

#include "compile/passes.h"

namespace tilewise::compile {
namespace {

model::LinearWeights& linear_of(model::LayerWeights& layer, model::LinearRole role) {
  switch (role) {
    case model::LinearRole::query:
      return layer.query;
    case model::LinearRole::key:
      return layer.key;
    case model::LinearRole::value:
      return layer.value;
    case model::LinearRole::attention_output:
      return layer.attention_output;
    case model::LinearRole::ffn_up:
      return layer.ffn_up;
    case model::LinearRole::ffn_down:
      break;
  }
  return layer.ffn_down;
}

/// The order of the sum is that of the rank, for every element: equal bytes on every machine.
void merge(const model::LoraUpdate& update, std::span<float> weight) {
  const auto rank = static_cast<size_t>(update.a.shape[0]);
  const auto inputs = static_cast<size_t>(update.a.shape[1]);
  const auto outputs = static_cast<size_t>(update.b.shape[0]);
  const std::vector<double> a(update.a.values.begin(), update.a.values.end());
  const double scale = update.scale;
  std::vector<double> sums(inputs);
  for (size_t row = 0; row < outputs; ++row) {
    sums.assign(inputs, 0.0);
    for (size_t r = 0; r < rank; ++r) {
      const double b = update.b.values[row * rank + r];
      for (size_t i = 0; i < inputs; ++i) sums[i] += b * a[r * inputs + i];
    }
    float* target = weight.data() + row * inputs;
    for (size_t i = 0; i < inputs; ++i) {
      target[i] = static_cast<float>(target[i] + scale * sums[i]);
    }
  }
}

}  // namespace

Result<std::string> merge_adapter(Draft& draft) {
  auto& adapter = draft.model.adapter;
  if (adapter.empty()) return std::string("no adapter");
  int64_t rank = 0;
  for (const model::LoraUpdate& update : adapter) {
    auto& layer = draft.model.weights.layers[static_cast<size_t>(update.layer)];
    merge(update, linear_of(layer, update.role).weight.values);
    rank = std::max(rank, update.a.shape[0]);
  }
  std::string detail = fmt::format("{} updates of rank {} merged", adapter.size(), rank);
  adapter = {};
  draft.metadata.numerics.push_back({"adapter", "merged: fp64 sums, rounded once to fp32"});
  return detail;
}

}  // namespace tilewise::compile
