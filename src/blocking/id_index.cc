#include "blocking/id_index.h"

#include <algorithm>
#include <limits>

#include <xxhash.h>

namespace tilewise::blocking {
namespace {

constexpr uint32_t kFree = std::numeric_limits<uint32_t>::max();
constexpr size_t kFewestSlots = 64;

}  // namespace

// Where the text is, or the free slot where it would be.
size_t IdIndex::slot_of(std::string_view text) const {
  size_t slot = XXH3_64bits(text.data(), text.size()) & (slots_.size() - 1);
  while (slots_[slot] != kFree && this->text(slots_[slot]) != text) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slot;
}

IdIndex::Added IdIndex::add(std::string_view text) {
  if (4 * (size() + 1) > 3 * slots_.size()) grow();
  uint32_t& slot = slots_[slot_of(text)];
  if (slot != kFree) return {slot, false};
  const auto index = static_cast<uint32_t>(size());
  bytes_ += text;
  ends_.push_back(bytes_.size());
  slot = index;
  return {index, true};
}

std::optional<uint32_t> IdIndex::find(std::string_view text) const {
  if (slots_.empty()) return std::nullopt;
  const uint32_t index = slots_[slot_of(text)];
  return index == kFree ? std::nullopt : std::optional(index);
}

void IdIndex::grow() {
  slots_.assign(std::max(kFewestSlots, 2 * slots_.size()), kFree);
  for (uint32_t i = 0; i < size(); ++i) slots_[slot_of(text(i))] = i;
}

size_t IdIndex::bytes() const {
  return bytes_.capacity() + ends_.capacity() * sizeof(uint64_t) +
         slots_.capacity() * sizeof(uint32_t);
}

}  // namespace tilewise::blocking
