// Casting and packing: fp32 weights become the tensors of the artifact.
#include <cstring>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "artifact/schema.h"
#include "compile/passes.h"
#include "kernels/pack.h"

namespace tilewise::compile {
namespace {

using artifact::DataType;
using artifact::Layout;
using artifact::OutputTensor;
using artifact::TensorSpec;
using model::Precision;

std::unordered_map<std::string, model::Tensor*> tensors_by_name(Draft& draft) {
  std::unordered_map<std::string, model::Tensor*> result;
  for (const Slot& slot : slots(draft)) result.emplace(slot.name, slot.tensor);
  return result;
}

std::vector<std::byte> rows_of_bf16(const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(uint16_t));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t rounded = kernels::to_bf16(values[i]);
    std::memcpy(bytes.data() + i * sizeof rounded, &rounded, sizeof rounded);
  }
  return bytes;
}

/// `elements` may be more than there are values (a padded bias): zeros follow.
std::vector<std::byte> rows_of_f32(const std::vector<float>& values, size_t elements) {
  std::vector<std::byte> bytes(elements * sizeof(float));
  std::memcpy(bytes.data(), values.data(), values.size() * sizeof(float));
  return bytes;
}

OutputTensor pack(const TensorSpec& spec, const model::Tensor& tensor) {
  OutputTensor packed{spec.name, spec.type, spec.layout, spec.shape, {}};
  if (spec.layout == Layout::panels) {
    const Precision precision = spec.type == DataType::bf16 ? Precision::bf16 : Precision::fp32;
    packed.data = kernels::pack_panels(tensor.values, spec.shape[0], spec.shape[1], precision);
  } else if (spec.type == DataType::bf16) {
    packed.data = rows_of_bf16(tensor.values);
  } else {
    const bool is_padded = spec.shape.size() == 1;
    packed.data = rows_of_f32(
        tensor.values, is_padded ? static_cast<size_t>(spec.shape[0]) : tensor.values.size());
  }
  return packed;
}

}  // namespace

Result<std::string> cast_weights(Draft& draft) {
  auto& numerics = draft.metadata.numerics;
  const char* precision = name_of(draft.metadata.precision);
  numerics.push_back({"linear layers: weights and activations", precision});
  numerics.push_back({"word embeddings", precision});
  numerics.push_back({"biases, layer norms, position and type embeddings, heads", "fp32"});
  if (draft.metadata.precision == Precision::fp32) return std::string("fp32: nothing to round");

  const auto tensors = tensors_by_name(draft);
  size_t count = 0;
  for (const TensorSpec& spec : artifact::tensor_specs(draft.metadata)) {
    if (spec.type != DataType::bf16) continue;
    auto& values = tensors.at(spec.name)->values;
    for (float& value : values) value = kernels::from_bf16(kernels::to_bf16(value));
    count += values.size();
  }
  return fmt::format("{:.1f} million weights to bf16", static_cast<double>(count) * 1e-6);
}

Result<std::string> pack_weights(Draft& draft) {
  const auto specs = artifact::tensor_specs(draft.metadata);
  const auto tensors = tensors_by_name(draft);
  size_t bytes = 0;
  for (const TensorSpec& spec : specs) {
    model::Tensor& tensor = *tensors.at(spec.name);
    draft.tensors.push_back(pack(spec, tensor));
    bytes += draft.tensors.back().data.size();
    tensor = {};
  }
  draft.is_packed = true;
  return fmt::format("{} tensors, {:.1f} MB", specs.size(), static_cast<double>(bytes) * 1e-6);
}

}  // namespace tilewise::compile
