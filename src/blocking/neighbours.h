// Which vectors of one set lie nearest to each of another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "blocking/parallel.h"
#include "blocking/vectors.h"
#include "engine/engine.h"

namespace tilewise::blocking {

struct Neighbour {
  uint32_t index;
  float similarity;  ///< the cosine

  /// Nearer first; of equally near ones the one that came first.
  friend bool operator<(const Neighbour& a, const Neighbour& b) {
    return a.similarity != b.similarity ? a.similarity > b.similarity : a.index < b.index;
  }
  bool operator==(const Neighbour&) const = default;
};

/// At most `top` neighbours of each of `size` vectors. Rows may be filled by several threads.
class NeighbourTable {
 public:
  NeighbourTable(size_t size, int32_t top)
      : top_(static_cast<size_t>(top)), entries_(size * top_), counts_(size) {}

  size_t size() const { return counts_.size(); }
  std::span<const Neighbour> of(size_t i) const { return {entries_.data() + i * top_, counts_[i]}; }

  /// Keeps the neighbour if it is among the nearest so far.
  void offer(size_t i, const Neighbour& neighbour);
  /// What offer() would not keep anyway: not nearer than this. Below every cosine while there is
  /// room.
  float bar(size_t i) const { return counts_[i] < top_ ? -2.0F : entries_[i * top_].similarity; }
  /// Puts the nearest first; after the last offer().
  void finish(size_t i);

 private:
  size_t top_;
  std::vector<Neighbour> entries_;  // of each a heap with the farthest first, until finish()
  std::vector<uint32_t> counts_;
};

struct SearchOptions {
  int32_t top = 20;
  bool same = false;  ///< both sets are the same one: no vector is its own neighbour
  Watch watch = {};   ///< progress counts vectors of `left`
};

/// All products, in fp32, with the kernels of the engine. The result does not depend on the number
/// of replicas. Takes the memory of `right` once more. Errors: unavailable_machine (memory),
/// interrupted.
Result<NeighbourTable> search_exact(engine::Engine& engine, const Vectors& left,
                                    const Vectors& right, const SearchOptions& options);

/// Approximate: walks over small-world graphs (HNSW). The vectors are spread over a fixed number of
/// graphs, each built by one thread, so the result does not depend on the number of replicas
/// either. Takes the memory of `right` once more, and about 150 bytes a vector for its links.
/// Errors: as above.
Result<NeighbourTable> search_hnsw(engine::Engine& engine, const Vectors& left,
                                   const Vectors& right, const SearchOptions& options);

/// Whether the exact search of so many vectors in so many others is the better choice.
bool exact_is_better(size_t left, size_t right);

}  // namespace tilewise::blocking
