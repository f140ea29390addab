// Byte pair encoding within a word (Sennrich et al. 2016): of all neighbours the pair that was
// learned first becomes one token, until no pair is left that was learned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "model/tokenizer_spec.h"

namespace tilewise::text {

/// Which pairs may be merged and in which order: a hash table that is used where it lies. See
/// TABLES.md.
class BytePairs {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr int kIdBits = 21;  ///< of ids and ranks

  BytePairs() = default;
  /// `slots` is a power of two long; `merged` has the token of each rank.
  BytePairs(std::span<const uint64_t> slots, std::span<const uint32_t> merged);

  /// Whether every search ends, every rank has a token and every token is below `vocabulary_size`.
  /// Errors: invalid_input.
  static Status validate(std::span<const uint64_t> slots, std::span<const uint32_t> merged,
                         int32_t vocabulary_size);

  /// The place of a pair in the order, kNone where it is never merged. Ids are below 2^21.
  uint32_t rank(int32_t left, int32_t right) const {
    const uint64_t wanted = key(left, right);
    for (uint64_t slot = hash(wanted) >> shift_;; slot = (slot + 1) & mask_) {
      const uint64_t found = slots_[slot];
      if (found >> kIdBits == wanted) return static_cast<uint32_t>(found & kIdMask);
      if (found == 0) return kNone;
    }
  }
  int32_t merged(uint32_t rank) const { return static_cast<int32_t>(merged_[rank]); }

 private:
  friend struct BytePairParts;
  static constexpr uint64_t kIdMask = (uint64_t{1} << kIdBits) - 1;

  /// The bit on top tells a slot in use from an empty one.
  static uint64_t key(int32_t left, int32_t right) {
    return uint64_t{1} << 2 * kIdBits | static_cast<uint64_t>(left) << kIdBits |
           static_cast<uint64_t>(right);
  }
  /// Multiplication by 2^64 / golden ratio (Knuth, The Art of Computer Programming 6.4).
  static uint64_t hash(uint64_t key) { return key * 0x9E3779B97F4A7C15; }

  const uint64_t* slots_ = nullptr;
  const uint32_t* merged_ = nullptr;
  uint64_t mask_ = 0;
  int shift_ = 63;
};

/// The two parts of the table, before they are laid out. Of a pair that is there twice the last
/// place counts.
struct BytePairParts {
  explicit BytePairParts(std::span<const model::Merge> merges);
  BytePairs table() const { return {slots, merged}; }

  std::vector<uint64_t> slots;
  std::vector<uint32_t> merged;
};

/// Merges the tokens of one word at a time. Not thread-safe: it owns scratch memory, which it needs
/// for long words alone.
class PairMerger {
 public:
  explicit PairMerger(const BytePairs& pairs) : pairs_(pairs) {}

  /// Merges within ids[0, count) and returns how many tokens are left, at its front. Takes
  /// O(count log count) steps.
  size_t merge(int32_t* ids, size_t count) {
    return count <= kShortWord ? merge_short(ids, count) : merge_long(ids, count);
  }

 private:
  static constexpr size_t kShortWord = 48;

  size_t merge_short(int32_t* ids, size_t count) const;
  size_t merge_long(int32_t* ids, size_t count);
  void push(const int32_t* ids, uint32_t left, uint32_t right);

  BytePairs pairs_;
  struct Links {
    uint32_t previous;
    uint32_t next;
  };
  std::vector<Links> links_;
  std::vector<uint64_t> queue_;  ///< a heap: rank, then place
};

}  // namespace tilewise::text
