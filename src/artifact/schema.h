// The tensors that a model consists of: the table of FORMAT.md as code.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "artifact/metadata.h"
#include "artifact/reader.h"

namespace tilewise::artifact {

/// The name of the tokenizer's tables: bytes, as long as they are.
inline constexpr const char* kTokenizerTensor = "tokenizer";

struct TensorSpec {
  std::string name;
  DataType type = DataType::f32;
  Layout layout = Layout::rows;
  std::vector<int64_t> shape;
};

/// A linear layer of the encoder as it is stored: query, key and value are one.
struct LinearLayer {
  std::string name;  ///< "layers.0.qkv": its tensors' name without ".weight"
  int64_t outputs = 0;
  int64_t inputs = 0;
};

/// All of them, in the order of the forward pass; LinearPrecision follows it.
std::vector<LinearLayer> linear_layers(const model::EncoderSpec& spec);

/// Longest input of an int8 layer: 255 * 127 * 65536 < 2^31, so its sums are exact.
inline constexpr int64_t kMaxInt8Inputs = 65536;

/// The share of the linear layers' arithmetic that runs in int8: 0 to 1.
double int8_share(const Metadata& metadata);

/// What the metadata call for beside the tokenizer, in the order in which they lie in the file.
/// For metadata that validate() accepts.
std::vector<TensorSpec> tensor_specs(const Metadata& metadata);

/// The distances of "attention.relative_bias": from minus this to one less. Whole panels, so that
/// kernels may read beyond the longest sequence.
inline int64_t relative_span(const model::EncoderSpec& spec) {
  return (int64_t{spec.max_positions} + 31) / 32 * 32;
}

/// Columns of each of Q, K and V: `hidden` rounded up to whole panels.
int32_t qkv_section(const model::EncoderSpec& spec);

}  // namespace tilewise::artifact
