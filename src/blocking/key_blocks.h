// Records that share a key, and the pairs that they make.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "blocking/id_index.h"

namespace tilewise::blocking {

/// The keys of the records of one catalogue: model numbers that each has, and the values that two
/// records must agree on (brand...) where both have one. Numbers of keys come from an IdIndex that
/// the catalogues share.
class RecordKeys {
 public:
  /// `agreeing`: how many values every record has.
  explicit RecordKeys(size_t agreeing) : agreeing_(agreeing) {}

  static constexpr uint32_t kNoValue = UINT32_MAX;

  /// Of the next record; `values` has kNoValue where the record lacks one.
  void add(std::span<const uint32_t> numbers, std::span<const uint32_t> values);

  struct Entry {
    uint32_t key;
    uint32_t record;
  };
  /// Each key of each record once, by key and then by record.
  std::vector<Entry> sorted_entries() const;

  /// Whether no value of the record contradicts the other's.
  bool agrees(uint32_t record, const RecordKeys& other, uint32_t other_record) const;

 private:
  size_t agreeing_;
  uint32_t records_ = 0;
  std::vector<Entry> entries_;
  std::vector<uint32_t> values_;  // agreeing_ a record
};

/// Two records that share a key.
struct KeyPair {
  uint32_t left;
  uint32_t right;
  uint32_t key;
};

struct KeyReport {
  int64_t blocks = 0;          ///< keys that two records or more share
  int64_t skipped_blocks = 0;  ///< of those: larger than the limit
  int64_t largest_block = 0;   ///< records of the largest, skipped or not
};

/// The pairs of all blocks of at most `most_records`; a pair that shares several keys comes once
/// for each. `right`: the other catalogue; null: pairs within one, with left < right.
std::vector<KeyPair> pairs_of_keys(const RecordKeys& left, const RecordKeys* right,
                                   int64_t most_records, KeyReport& report);

}  // namespace tilewise::blocking
