// Disjoint sets of 0, 1, ... n - 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace tilewise::blocking {

/// The smaller set hangs under the larger one, paths are halved on the way: nearly constant time a
/// call. 8 bytes an element. Not thread-safe.
class UnionFind {
 public:
  explicit UnionFind(size_t size);

  /// The element that stands for the set of `element`.
  uint32_t find(uint32_t element);

  /// The root of the joined set; nullopt where both were in one set already.
  std::optional<uint32_t> join(uint32_t a, uint32_t b);

  /// Elements of the set that `root` stands for.
  size_t size(uint32_t root) const { return sizes_[root]; }

 private:
  std::vector<uint32_t> parents_;
  std::vector<uint32_t> sizes_;  // of roots
};

}  // namespace tilewise::blocking
