// A number for each code point of Unicode, as a two-level table that is used where it lies. See
// TABLES.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/status.h"

namespace tilewise::text {

/// Two bits of an entry mean the same for every tokenizer; the others are its own.
class CodePointTable {
 public:
  static constexpr uint32_t kBlockBits = 7;
  static constexpr uint32_t kBlockSize = 1u << kBlockBits;
  static constexpr uint32_t kBlocks = 0x110000 >> kBlockBits;
  static constexpr uint32_t kWordFlag = 8, kWhitespaceFlag = 16;

  CodePointTable() = default;
  CodePointTable(std::span<const uint16_t> blocks, std::span<const uint32_t> entries)
      : blocks_(blocks), entries_(entries) {}

  /// Whether every code point leads to an entry. Errors: invalid_input.
  Status validate() const;

  uint32_t entry(uint32_t code_point) const {
    return entries_.data()[size_t{blocks_.data()[code_point >> kBlockBits]} << kBlockBits |
                           (code_point & (kBlockSize - 1))];
  }
  /// \w of a regular expression.
  bool is_word(uint32_t code_point) const { return (entry(code_point) & kWordFlag) != 0; }
  /// Unicode's White_Space.
  bool is_whitespace(uint32_t code_point) const {
    return (entry(code_point) & kWhitespaceFlag) != 0;
  }
  /// The distinct ones, in blocks.
  std::span<const uint32_t> entries() const { return entries_; }

 private:
  std::span<const uint16_t> blocks_;
  std::span<const uint32_t> entries_;
};

/// The two parts of a table, before they are laid out.
struct CodePointTableParts {
  std::vector<uint16_t> blocks;   ///< kBlocks
  std::vector<uint32_t> entries;  ///< distinct blocks of kBlockSize
};

/// Asks for the entries in the order of code points; for one of each block in the planes where all
/// characters are alike (unassigned or private). The two shared flags are set here.
CodePointTableParts build_code_point_table(
    const std::function<uint32_t(uint32_t code_point)>& entry_of);

}  // namespace tilewise::text
