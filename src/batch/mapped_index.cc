#include "batch/mapped_index.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace tilewise::batch {
namespace {

constexpr uint64_t kLeastSlots = uint64_t{1} << 12;

/// At most three quarters of the slots are taken.
uint64_t slots_for(uint64_t entries) {
  return std::max(kLeastSlots, std::bit_ceil(entries + entries / 3 + 1));
}

}  // namespace

Result<MappedIndex> MappedIndex::create(const std::string& directory, uint64_t entries) {
  TILEWISE_ASSIGN_OR_RETURN(TemporaryMap table, create_table(directory, slots_for(entries)));
  return MappedIndex(directory, std::move(table));
}

Result<TemporaryMap> MappedIndex::create_table(const std::string& directory, uint64_t slots) {
  TILEWISE_ASSIGN_OR_RETURN(TemporaryMap table, TemporaryMap::create(directory));
  TILEWISE_RETURN_IF_ERROR(table.resize(slots * sizeof(Slot)));
  return table;
}

Status MappedIndex::insert(uint64_t hash, uint64_t position) {
  if (slots_for(size_ + 1) > slots().size()) TILEWISE_RETURN_IF_ERROR(grow());
  put({hash, position + 1}, slots_of(table_));
  ++size_;
  return {};
}

void MappedIndex::put(const Slot& entry, std::span<Slot> table) {
  uint64_t i = entry.hash;
  while (table[i & (table.size() - 1)].position_plus_one != 0) ++i;
  table[i & (table.size() - 1)] = entry;
}

Status MappedIndex::grow() {
  TILEWISE_ASSIGN_OR_RETURN(TemporaryMap larger, create_table(directory_, 2 * slots().size()));
  for (const Slot& slot : slots()) {
    if (slot.position_plus_one != 0) put(slot, slots_of(larger));
  }
  table_ = std::move(larger);
  return {};
}

}  // namespace tilewise::batch
