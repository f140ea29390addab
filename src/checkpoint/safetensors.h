// Reads the safetensors format: 8 bytes header length, a JSON header, the tensors' bytes. For files
// that nobody vouches for. Format: https://github.com/huggingface/safetensors#format
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "base/status.h"

namespace tilewise::checkpoint {

/// A tensor where it lies in the file: little-endian, row-major, at any alignment.
struct TensorEntry {
  std::string name;
  std::string dtype;  ///< as the file spells it: "F32", "BF16", "I64"...
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
};

/// "[30522, 384]".
std::string shape_text(const std::vector<int64_t>& shape);

/// Immutable and thread-safe. Entries are valid as long as the object (and the bytes, where it was
/// parsed from memory).
class Safetensors {
 public:
  /// Checks the whole header: its size, names, types, shapes, and that the tensors' ranges lie in
  /// the file, fit their shapes, do not overlap and leave no gap. Errors: not_found, io_error,
  /// invalid_input naming the tensor.
  static Result<Safetensors> open(const std::string& path, const std::string& where);
  static Result<Safetensors> parse(std::span<const std::byte> bytes, const std::string& where);

  /// In ascending order of their names.
  std::span<const TensorEntry> tensors() const { return tensors_; }
  /// nullptr when there is none of that name.
  const TensorEntry* find(std::string_view name) const;

 private:
  Safetensors() = default;

  std::optional<MappedFile> file_;
  std::vector<TensorEntry> tensors_;
};

/// The values of an F32, F16 or BF16 tensor, widened exactly. Errors, naming `where`: unsupported
/// (another type), invalid_input (a NaN or an infinity, and at which index).
Result<std::vector<float>> to_fp32(const TensorEntry& tensor, const std::string& where);

/// Whether to_fp32 knows the type.
bool is_float_type(std::string_view dtype);

}  // namespace tilewise::checkpoint
