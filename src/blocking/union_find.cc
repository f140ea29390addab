#include "blocking/union_find.h"

#include <numeric>
#include <utility>

namespace tilewise::blocking {

UnionFind::UnionFind(size_t size) : parents_(size), sizes_(size, 1) {
  std::iota(parents_.begin(), parents_.end(), 0U);
}

uint32_t UnionFind::find(uint32_t element) {
  while (parents_[element] != element) {
    parents_[element] = parents_[parents_[element]];
    element = parents_[element];
  }
  return element;
}

std::optional<uint32_t> UnionFind::join(uint32_t a, uint32_t b) {
  a = find(a);
  b = find(b);
  if (a == b) return std::nullopt;
  if (sizes_[a] < sizes_[b]) std::swap(a, b);
  parents_[b] = a;
  sizes_[a] += sizes_[b];
  return a;
}

}  // namespace tilewise::blocking
