#include "blocking/neighbours.h"

#include <algorithm>

namespace tilewise::blocking {

void NeighbourTable::offer(size_t i, const Neighbour& neighbour) {
  const auto first = entries_.begin() + static_cast<std::ptrdiff_t>(i * top_);
  auto last = first + counts_[i];
  if (counts_[i] < top_) {
    *last++ = neighbour;
    ++counts_[i];
  } else {
    if (!(neighbour < *first)) return;
    std::pop_heap(first, last);
    *(last - 1) = neighbour;
  }
  std::push_heap(first, last);
}

void NeighbourTable::finish(size_t i) {
  const auto first = entries_.begin() + static_cast<std::ptrdiff_t>(i * top_);
  std::sort_heap(first, first + counts_[i]);
}

bool exact_is_better(size_t left, size_t right) {
  // With 384 values and AVX-512 a vector costs a graph about as much as 200,000 products, to put it
  // in and to look for it together: docs/BLOCKING.md has the measurement. Not measured here, so
  // that the pairs do not depend on the machine.
  constexpr double kProductsAVector = 1e5;
  const auto l = static_cast<double>(left), r = static_cast<double>(right);
  return l * r <= kProductsAVector * (l + r);
}

}  // namespace tilewise::blocking
