// What attention needs of positions, worked out for every distance and position that there can be.
// In the steps and roundings of PyTorch's fp32 code, so that the values are those of the training.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numbers>
#include <utility>

#include <fmt/format.h>

#include "artifact/schema.h"
#include "compile/passes.h"

namespace tilewise::compile {
namespace {

using model::EncoderSpec;
using model::Tensor;

/// The row of the biases for a distance, key minus query (Raffel et al. 2020, "T5"): one half of
/// them for keys before the query and one for those behind; in each, one half exact, then growing
/// with the logarithm.
int32_t bucket_of(int32_t distance, const EncoderSpec& spec) {
  const int32_t half = spec.relative_buckets / 2;
  const int32_t exact = half / 2;
  const int32_t size = std::abs(distance);
  const int32_t side = distance > 0 ? half : 0;
  if (size < exact) return side + size;
  const auto whole = static_cast<float>(
      std::log(static_cast<double>(spec.relative_distance) / static_cast<double>(exact)));
  const float share = std::log(static_cast<float>(size) / static_cast<float>(exact)) / whole;
  const auto steps = static_cast<int32_t>(share * static_cast<float>(half - exact));
  return side + std::min(exact + steps, half - 1);
}

/// [buckets, heads] -> [heads, 2 span]: of a head, the bias of each distance from -span on.
Tensor biases_by_distance(const Tensor& biases, const EncoderSpec& spec) {
  const auto span = static_cast<int32_t>(artifact::relative_span(spec));
  const auto heads = static_cast<size_t>(spec.heads);
  Tensor table{{spec.heads, 2 * int64_t{span}}, {}};
  table.values.reserve(heads * 2 * static_cast<size_t>(span));
  for (size_t head = 0; head < heads; ++head) {
    for (int32_t distance = -span; distance < span; ++distance) {
      const auto bucket = static_cast<size_t>(bucket_of(distance, spec));
      const double bias = biases.values[bucket * heads + head];
      table.values.push_back(static_cast<float>(bias * std::numbers::log2e));
    }
  }
  return table;
}

/// By position, for the pair of numbers i of a head: the angle position / base^(2 i / head_dim)
/// (Su et al. 2021, "RoFormer").
RotaryTables rotary_tables(const EncoderSpec& spec, float base) {
  const int32_t pairs = spec.head_dim() / 2;
  RotaryTables tables;
  tables.cosines.shape = tables.sines.shape = {spec.max_positions, pairs};
  for (int32_t position = 0; position < spec.max_positions; ++position) {
    for (int32_t i = 0; i < pairs; ++i) {
      const float exponent = static_cast<float>(2 * i) / static_cast<float>(spec.head_dim());
      const auto power = static_cast<float>(std::pow(double{base}, double{exponent}));
      const double angle = static_cast<float>(position) * (1.0f / power);
      tables.cosines.values.push_back(static_cast<float>(std::cos(angle)));
      tables.sines.values.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  return tables;
}

}  // namespace

Result<std::string> tabulate_positions(Draft& draft) {
  const EncoderSpec& spec = draft.model.spec;
  std::string detail;
  if (spec.relative_buckets > 0) {
    Tensor& biases = draft.model.weights.relative_bias;
    draft.relative_bias = biases_by_distance(biases, spec);
    biases = {};
    draft.metadata.numerics.push_back({"biases of attention by distance", "fp32"});
    detail = fmt::format("biases of {} distances", draft.relative_bias.shape[1]);
  }
  if (spec.positions == model::Positions::rotary) {
    draft.rotary_global = rotary_tables(spec, spec.rotary_base);
    if (spec.window > 0) draft.rotary_local = rotary_tables(spec, spec.rotary_base_local);
    draft.metadata.numerics.push_back({"cosines and sines of rotary positions", "fp32"});
    detail +=
        fmt::format("{}angles of {} positions", detail.empty() ? "" : ", ", spec.max_positions);
  }
  draft.has_position_tables = true;
  return detail;
}

}  // namespace tilewise::compile
