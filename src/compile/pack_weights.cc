// Casting and packing: fp32 weights become the tensors of the artifact.
#include <cstring>
#include <span>
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

template <class T>
OutputTensor rows_of(const std::string& name, DataType type, const std::vector<T>& values,
                     int64_t elements, T padding) {
  std::vector<T> padded = values;
  padded.resize(static_cast<size_t>(elements), padding);
  const auto bytes = std::as_bytes(std::span(padded));
  return {name, type, Layout::rows, {elements}, {bytes.begin(), bytes.end()}};
}

/// The tensors of FORMAT.md, "int8 layers".
std::vector<OutputTensor> pack(const artifact::LinearLayer& layer, const Int8Linear& linear) {
  const int64_t outputs = kernels::padded_n(layer.outputs);
  std::vector<OutputTensor> tensors;
  tensors.push_back({layer.name + ".weight",
                     DataType::s8,
                     Layout::panels,
                     {layer.outputs, layer.inputs},
                     kernels::pack_int8_panels(linear.weights, layer.outputs, layer.inputs)});
  tensors.push_back(rows_of(layer.name + ".scale", DataType::f32, linear.scales, outputs, 0.0f));
  tensors.push_back(rows_of(layer.name + ".sums", DataType::s32, linear.sums, outputs, 0));
  if (!linear.input.smooth.empty()) {
    tensors.push_back(rows_of(layer.name + ".smooth", DataType::f32, linear.input.smooth,
                              kernels::padded_k(layer.inputs, Precision::int8), 1.0f));
  }
  tensors.push_back(rows_of(layer.name + ".bias", DataType::f32, linear.bias, outputs, 0.0f));
  return tensors;
}

/// All int8 layers' tensors by name; the layers leave the draft.
std::unordered_map<std::string, OutputTensor> pack_int8(Draft& draft) {
  std::unordered_map<std::string, OutputTensor> packed;
  const auto layers = artifact::linear_layers(draft.metadata.spec);
  for (size_t i = 0; i < draft.int8.size(); ++i) {
    if (!draft.int8[i]) continue;
    for (OutputTensor& tensor : pack(layers[i], *draft.int8[i])) {
      std::string name = tensor.name;
      packed.emplace(std::move(name), std::move(tensor));
    }
  }
  return packed;
}

}  // namespace

Result<std::string> cast_weights(Draft& draft) {
  auto& numerics = draft.metadata.numerics;
  const bool is_int8 = draft.metadata.precision == Precision::int8;
  const char* precision = is_int8 ? "bf16" : name_of(draft.metadata.precision);
  numerics.push_back({is_int8 ? "other linear layers, and activations between all layers"
                              : "linear layers: weights and activations",
                      precision});
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
  auto int8_tensors = pack_int8(draft);
  size_t bytes = 0;
  for (const TensorSpec& spec : specs) {
    if (const auto found = int8_tensors.find(spec.name); found != int8_tensors.end()) {
      draft.tensors.push_back(std::move(found->second));
    } else {
      model::Tensor& tensor = *tensors.at(spec.name);
      draft.tensors.push_back(pack(spec, tensor));
      tensor = {};
    }
    bytes += draft.tensors.back().data.size();
  }
  draft.is_packed = true;
  return fmt::format("{} tensors, {:.1f} MB", specs.size(), static_cast<double>(bytes) * 1e-6);
}

std::vector<OutputTensor> fp32_tensors(Draft& draft) {
  artifact::Metadata metadata = draft.metadata;
  metadata.precision = Precision::fp32;
  const auto tensors = tensors_by_name(draft);
  std::vector<OutputTensor> packed;
  for (const TensorSpec& spec : artifact::tensor_specs(metadata)) {
    packed.push_back(pack(spec, *tensors.at(spec.name)));
  }
  return packed;
}

}  // namespace tilewise::compile
