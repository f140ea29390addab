// Any bytes: a file is refused, or all its tensors can be read from end to end.
#include <cstdint>
#include <cstdlib>

#include "checkpoint/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tilewise::checkpoint::Safetensors;
  using tilewise::checkpoint::TensorEntry;
  const auto file = Safetensors::parse({reinterpret_cast<const std::byte*>(data), size}, "fuzz");
  if (!file.ok()) return 0;
  size_t total = 0;
  for (const TensorEntry& tensor : file->tensors()) {
    total += tensor.data.size();
    if (file->find(tensor.name) != &tensor) std::abort();
    (void)tilewise::checkpoint::to_fp32(tensor, tensor.name).ok();
  }
  if (total > size) std::abort();  // tensors that do not overlap cannot be more than the file
  return 0;
}
