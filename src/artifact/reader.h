// Opens an artifact: mapped, not read. See FORMAT.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/metadata.h"
#include "base/mapped_file.h"
#include "base/status.h"

namespace tilewise::artifact {

enum class DataType : uint32_t { f32 = 1, bf16 = 2, bytes = 3, s8 = 4, s32 = 5 };

/// How a tensor lies in the file.
enum class Layout : uint32_t {
  rows = 1,    ///< row-major, dense
  panels = 2,  ///< the packed panels of kernels/linear.h; shape is the logical [n, k]
};

/// A tensor where it lies in the mapped file: 64-byte aligned, valid as long as the Artifact.
struct TensorView {
  std::string_view name;
  DataType type = DataType::f32;
  Layout layout = Layout::rows;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
  uint64_t checksum = 0;  ///< XXH3-64 of data
};

/// Immutable and thread-safe. Holds the mapping: the file may be replaced by another of its name
/// (as the compiler does), but never changed or cut where it lies while it is open.
class Artifact {
 public:
  /// Checks magic, version, sizes, bounds, overlaps, alignment and the checksum of everything but
  /// the tensors' contents. Errors: not_found, io_error, invalid_input (what is broken and where),
  /// unsupported (written by a newer format version).
  static Result<std::shared_ptr<const Artifact>> open(const std::string& path);

  /// The same over bytes in memory (64-byte aligned), which must outlive the artifact. For tests
  /// and fuzzing.
  static Result<std::shared_ptr<const Artifact>> open(std::span<const std::byte> bytes,
                                                      const std::string& name);

  const Metadata& metadata() const { return metadata_; }
  std::span<const TensorView> tensors() const { return tensors_; }

  /// nullptr when there is none of that name.
  const TensorView* find(std::string_view name) const;

  /// The tensor of that name if it has this type, layout and shape, else invalid_input that says
  /// what differs.
  Result<const TensorView*> require(std::string_view name, DataType type, Layout layout,
                                    const std::vector<int64_t>& shape) const;

  /// Reads every tensor and compares its checksum.
  Status verify() const;

  /// A part of the file is not needed in memory for now: as MappedFile::release. Nothing where the
  /// artifact is no file.
  void release(std::span<const std::byte> part) const;

  /// XXH3-64 of the header and metadata (which hold the tensors' checksums): the identity of the
  /// model, 16 hex digits.
  const std::string& fingerprint() const { return fingerprint_; }
  size_t file_bytes() const { return bytes_.size(); }
  const std::string& name() const { return name_; }

 private:
  Artifact() = default;
  friend class Opener;

  std::unique_ptr<MappedFile> file_;
  std::span<const std::byte> bytes_;
  std::string name_;
  Metadata metadata_;
  std::vector<TensorView> tensors_;
  std::vector<uint32_t> by_name_;  ///< indices of tensors_, sorted by name
  std::string fingerprint_;
};

}  // namespace tilewise::artifact
