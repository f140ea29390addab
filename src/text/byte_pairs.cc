#include "text/byte_pairs.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <string>

#include "text/tables_block.h"

namespace tilewise::text {
namespace {

constexpr uint32_t kNoPlace = UINT32_MAX;
constexpr int32_t kGone = -1;  ///< the token has become a part of the one before it

}  // namespace

BytePairs::BytePairs(std::span<const uint64_t> slots, std::span<const uint32_t> merged)
    : slots_(slots.data()),
      merged_(merged.data()),
      mask_(slots.size() - 1),
      shift_(64 - std::countr_zero(slots.size())) {}

Status BytePairs::validate(std::span<const uint64_t> slots, std::span<const uint32_t> merged,
                           int32_t vocabulary_size) {
  const auto outside = [&](uint32_t id) { return id >= static_cast<uint32_t>(vocabulary_size); };
  size_t used = 0;
  bool is_broken = std::ranges::any_of(merged, outside);
  for (const uint64_t slot : slots) {
    used += slot != 0;
    is_broken |= slot != 0 && (slot & kIdMask) >= merged.size();
  }
  if (is_broken || slots.size() < 2 || !std::has_single_bit(slots.size()) || used == slots.size()) {
    return broken_tables("The table of pairs is broken", {},
                         std::to_string(used) + " of " + std::to_string(slots.size()) +
                             " slots in use, " + std::to_string(merged.size()) + " merges");
  }
  return {};
}

BytePairParts::BytePairParts(std::span<const model::Merge> merges)
    : slots(std::max<size_t>(2, std::bit_ceil(2 * merges.size()))) {
  const uint64_t mask = slots.size() - 1;
  const int shift = 64 - std::countr_zero(slots.size());
  for (const model::Merge& merge : merges) {
    const uint64_t key = BytePairs::key(merge.left, merge.right);
    uint64_t slot = BytePairs::hash(key) >> shift;
    while (slots[slot] != 0 && slots[slot] >> BytePairs::kIdBits != key) slot = (slot + 1) & mask;
    slots[slot] = key << BytePairs::kIdBits | merged.size();
    merged.push_back(static_cast<uint32_t>(merge.merged));
  }
}

/// Looks at all pairs for the next one: the fastest way as long as they are few.
size_t PairMerger::merge_short(int32_t* ids, size_t count) const {
  uint32_t ranks[kShortWord];  // of the pairs that begin at each token
  for (size_t i = 0; i + 1 < count; ++i) ranks[i] = pairs_.rank(ids[i], ids[i + 1]);
  while (count > 1) {
    const auto best = static_cast<size_t>(std::min_element(ranks, ranks + count - 1) - ranks);
    if (ranks[best] == BytePairs::kNone) break;
    ids[best] = pairs_.merged(ranks[best]);
    std::copy(ids + best + 2, ids + count, ids + best + 1);
    std::copy(ranks + best + 1, ranks + count - 1, ranks + best);
    --count;
    if (best > 0) ranks[best - 1] = pairs_.rank(ids[best - 1], ids[best]);
    if (best + 1 < count) ranks[best] = pairs_.rank(ids[best], ids[best + 1]);
  }
  return count;
}

void PairMerger::push(const int32_t* ids, uint32_t left, uint32_t right) {
  if (left == kNoPlace || right == kNoPlace) return;
  const uint32_t rank = pairs_.rank(ids[left], ids[right]);
  if (rank == BytePairs::kNone) return;
  queue_.push_back(uint64_t{rank} << 32 | left);
  std::ranges::push_heap(queue_, std::greater<>());
}

/// Keeps the pairs in a queue. A pair that is no more is left in it: its left token is gone, or has
/// another right neighbour, and no later pair has its rank again, since tokens only grow.
size_t PairMerger::merge_long(int32_t* ids, size_t count) {
  const auto size = static_cast<uint32_t>(count);
  links_.resize(count);
  queue_.clear();
  for (uint32_t i = 0; i < size; ++i) {
    links_[i] = {i == 0 ? kNoPlace : i - 1, i + 1 == size ? kNoPlace : i + 1};
    push(ids, i, links_[i].next);
  }
  while (!queue_.empty()) {
    std::ranges::pop_heap(queue_, std::greater<>());
    const auto rank = static_cast<uint32_t>(queue_.back() >> 32);
    const auto left = static_cast<uint32_t>(queue_.back());
    queue_.pop_back();
    const uint32_t right = links_[left].next;
    if (ids[left] == kGone || right == kNoPlace || pairs_.rank(ids[left], ids[right]) != rank) {
      continue;
    }
    ids[left] = pairs_.merged(rank);
    ids[right] = kGone;
    links_[left].next = links_[right].next;
    if (links_[left].next != kNoPlace) links_[links_[left].next].previous = left;
    push(ids, links_[left].previous, left);
    push(ids, left, links_[left].next);
  }
  return static_cast<size_t>(std::remove(ids, ids + count, kGone) - ids);
}

}  // namespace tilewise::text
