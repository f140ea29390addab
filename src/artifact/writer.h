// Writes an artifact: beside its name, then renamed. Equal input gives equal bytes.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "artifact/metadata.h"
#include "artifact/reader.h"
#include "base/aligned_buffer.h"
#include "base/status.h"

namespace tilewise::artifact {

struct OutputTensor {
  std::string name;
  DataType type = DataType::f32;
  Layout layout = Layout::rows;
  std::vector<int64_t> shape;
  std::vector<std::byte> data;
};

/// Tensors lie in the file in the given order (the order in which the forward pass reads them).
Status write(const std::string& path, const Metadata& metadata,
             std::span<const OutputTensor> tensors);

/// The same bytes in memory, for Artifact::open(span, name). Errors also: unavailable_machine when
/// there is no memory.
Result<AlignedBuffer> write_to_memory(const Metadata& metadata,
                                      std::span<const OutputTensor> tensors);

}  // namespace tilewise::artifact
