// From hashes to positions, in a temporary file.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/status.h"
#include "batch/temporary_map.h"

namespace tilewise::batch {

/// An open-addressing table. A hash is no identity: who searches says which of the positions of a
/// hash is the one. find() is thread-safe while nobody inserts.
class MappedIndex {
 public:
  /// With room for `entries`; more make it grow. `directory`: as for TemporaryMap. Errors:
  /// io_error.
  static Result<MappedIndex> create(const std::string& directory, uint64_t entries);

  /// The position that was inserted with `hash` and for which `is_it(position)` holds.
  template <class IsIt>
  std::optional<uint64_t> find(uint64_t hash, IsIt&& is_it) const;

  /// Adds an entry beside those of the same hash. Errors: io_error where it must grow and there is
  /// no room.
  Status insert(uint64_t hash, uint64_t position);

  uint64_t size() const { return size_; }

  /// Of the file.
  size_t bytes() const { return table_.bytes().size(); }

  void expect_random_reads() { table_.expect_random_reads(); }

 private:
  struct Slot {
    uint64_t hash = 0;
    uint64_t position_plus_one = 0;  // 0: empty
  };

  MappedIndex(std::string directory, TemporaryMap table)
      : directory_(std::move(directory)), table_(std::move(table)) {}
  static Result<TemporaryMap> create_table(const std::string& directory, uint64_t slots);
  static void put(const Slot& entry, std::span<Slot> table);
  Status grow();

  std::span<const Slot> slots() const {
    return {reinterpret_cast<const Slot*>(table_.bytes().data()),
            table_.bytes().size() / sizeof(Slot)};
  }
  static std::span<Slot> slots_of(TemporaryMap& table) {
    return {reinterpret_cast<Slot*>(table.bytes().data()), table.bytes().size() / sizeof(Slot)};
  }

  std::string directory_;
  TemporaryMap table_;  // a power of two of slots, at most three quarters of them taken
  uint64_t size_ = 0;
};

template <class IsIt>
std::optional<uint64_t> MappedIndex::find(uint64_t hash, IsIt&& is_it) const {
  const std::span<const Slot> table = slots();
  for (uint64_t i = hash;; ++i) {
    const Slot& slot = table[i & (table.size() - 1)];
    if (slot.position_plus_one == 0) return std::nullopt;
    if (slot.hash == hash && is_it(slot.position_plus_one - 1)) return slot.position_plus_one - 1;
  }
}

}  // namespace tilewise::batch
