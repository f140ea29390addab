// Longest match of byte strings: a double-array trie (Aoe 1989) with several roots, used where it
// lies. See TABLES.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace tilewise::text {

/// One node. The child for byte b is the unit at `children ^ b`, if that unit's label is b.
struct TrieUnit {
  uint32_t children;  ///< 0: none
  uint32_t
      label_and_value;  ///< label in the low 8 bits; above it the value + 1, 0: no key ends here

  uint32_t label() const { return label_and_value & 0xFF; }
};
static_assert(sizeof(TrieUnit) == 8);

class Trie {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  /// A unit has 24 bits for a value + 1.
  static constexpr uint32_t kMaxValue = (1u << 24) - 2;
  /// The label of units that no node uses: a byte that no key and no valid text has, so that no
  /// walk enters them.
  static constexpr uint32_t kUnusedLabel = 0xFF;

  struct Match {
    uint32_t value = kNone;  ///< kNone: no key matches
    size_t length = 0;
  };

  Trie() = default;
  explicit Trie(std::span<const TrieUnit> units) : units_(units) {}

  /// Whether every walk stays within the units and every value is below `values`; there must be
  /// `roots` units.
  Status validate(uint32_t roots, uint32_t values) const;

  /// The longest key under `root` that `text` begins with, `fold` applied to each byte of the text.
  /// No key is empty.
  template <class Fold>
  Match longest(uint32_t root, const char* begin, const char* end, Fold&& fold) const {
    const TrieUnit* const units = units_.data();
    Match match;
    uint32_t children = units[root].children;
    for (const char* p = begin; p != end; ++p) {
      const uint32_t byte = fold(static_cast<unsigned char>(*p));
      const TrieUnit unit = units[children ^ byte];
      if (unit.label() != byte) break;
      if (const uint32_t value = unit.label_and_value >> 8; value != 0) {
        match = {value - 1, static_cast<size_t>(p - begin) + 1};
      }
      children = unit.children;
    }
    return match;
  }

  /// The shortest such key.
  template <class Fold>
  Match shortest(uint32_t root, const char* begin, const char* end, Fold&& fold) const {
    Match match;
    for_each_prefix(root, begin, end, fold, [&match](uint32_t value, size_t length) {
      match = {value, length};
      return false;
    });
    return match;
  }

  /// Calls visit(value, length) for each such key, the shortest first, until it returns false.
  template <class Fold, class Visit>
  void for_each_prefix(uint32_t root, const char* begin, const char* end, Fold&& fold,
                       Visit&& visit) const {
    const TrieUnit* const units = units_.data();
    uint32_t children = units[root].children;
    for (const char* p = begin; p != end; ++p) {
      const uint32_t byte = fold(static_cast<unsigned char>(*p));
      const TrieUnit unit = units[children ^ byte];
      if (unit.label() != byte) return;
      if (const uint32_t value = unit.label_and_value >> 8; value != 0) {
        if (!visit(value - 1, static_cast<size_t>(p - begin) + 1)) return;
      }
      children = unit.children;
    }
  }

  /// Calls visit(value) for each key, in no order.
  template <class Visit>
  void for_each_value(Visit&& visit) const {
    for (const TrieUnit& unit : units_) {
      if (const uint32_t value = unit.label_and_value >> 8; value != 0) visit(value - 1);
    }
  }

  /// Whether any key under `root` begins with `byte`.
  bool begins(uint32_t root, uint8_t byte) const {
    return byte != kUnusedLabel && units_[units_[root].children ^ byte].label() == byte;
  }

 private:
  std::span<const TrieUnit> units_;
};

struct TrieKey {
  std::string bytes;  ///< not empty, without the byte 0xFF (which UTF-8 never has)
  uint32_t value;     ///< below 2^24 - 1
};

/// Root r holds the keys of `roots[r]`; of equal keys the last one counts. The same keys in the
/// same order give the same units on every machine.
std::vector<TrieUnit> build_trie(std::vector<std::vector<TrieKey>> roots);

}  // namespace tilewise::text
