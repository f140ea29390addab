// Models of one backbone have its weights once in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "artifact/reader.h"

namespace tilewise::runtime {

/// Where the tensors of an artifact are taken from: from one of the lenders that has the same
/// tensor byte for byte, else from the artifact itself. Not thread-safe.
class TensorSource {
 public:
  using Artifact = std::shared_ptr<const artifact::Artifact>;

  explicit TensorSource(std::span<const Artifact> lenders = {}) : lenders_(lenders) {}

  /// The bytes of `own`: its own, or those of a lender's tensor with its name, type, layout, shape,
  /// checksum and contents.
  std::span<const std::byte> data(const artifact::TensorView& own);

  /// Those that something was taken from: they must stay open.
  const std::vector<Artifact>& used() const { return used_; }
  int64_t shared_bytes() const { return shared_bytes_; }
  /// The artifact's own tensors that a lender's were taken for.
  const std::vector<std::span<const std::byte>>& unused() const { return unused_; }

 private:
  std::span<const Artifact> lenders_;
  std::vector<Artifact> used_;
  std::vector<std::span<const std::byte>> unused_;
  int64_t shared_bytes_ = 0;
};

}  // namespace tilewise::runtime
