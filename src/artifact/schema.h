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

/// What the metadata call for beside the tokenizer, in the order in which they lie in the file.
/// For metadata that validate() accepts.
std::vector<TensorSpec> tensor_specs(const Metadata& metadata);

/// Columns of each of Q, K and V: `hidden` rounded up to whole panels.
int32_t qkv_section(const model::EncoderSpec& spec);

}  // namespace tilewise::artifact
