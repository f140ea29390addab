#include "text/code_point_table.h"

#include <algorithm>
#include <map>
#include <string>

#include "text/tables_block.h"
#include "text/unicode.h"

namespace tilewise::text {
namespace {

/// Planes 4 to 13 are unassigned, 15 and 16 are for private use. Only their last two code points
/// are none of it.
bool is_uniform(uint32_t first) {
  const uint32_t plane = first >> 16;
  return plane >= 4 && plane != 14 && (first & 0xFFFF) != 0x10000 - CodePointTable::kBlockSize;
}

}  // namespace

Status CodePointTable::validate() const {
  if (blocks_.size() != kBlocks) {
    return broken_tables("The character table does not cover Unicode",
                         std::to_string(kBlocks) + " blocks", std::to_string(blocks_.size()));
  }
  if (entries_.size() % kBlockSize != 0) {
    return broken_tables("The character table is not made of whole blocks", {},
                         std::to_string(entries_.size()) + " entries");
  }
  const size_t count = entries_.size() >> kBlockBits;
  for (const uint16_t block : blocks_) {
    if (block >= count) {
      return broken_tables("The character table names a block that it does not have", {},
                           "block " + std::to_string(block) + " of " + std::to_string(count));
    }
  }
  return {};
}

CodePointTableParts build_code_point_table(const std::function<uint32_t(uint32_t)>& entry_of) {
  const auto entry = [&](uint32_t c) {
    const uint32_t flags = (is_word_character(c) ? CodePointTable::kWordFlag : 0u) |
                           (is_whitespace(c) ? CodePointTable::kWhitespaceFlag : 0u);
    return flags | entry_of(c);
  };
  CodePointTableParts parts;
  parts.blocks.reserve(CodePointTable::kBlocks);
  std::map<std::vector<uint32_t>, uint16_t> known;
  std::vector<uint32_t> block(CodePointTable::kBlockSize);
  for (uint32_t first = 0; first < kCodePoints; first += CodePointTable::kBlockSize) {
    if (is_uniform(first)) {
      std::ranges::fill(block, entry(first));
    } else {
      for (uint32_t i = 0; i < CodePointTable::kBlockSize; ++i) block[i] = entry(first + i);
    }
    const auto next = static_cast<uint16_t>(parts.entries.size() >> CodePointTable::kBlockBits);
    const auto [it, is_new] = known.try_emplace(block, next);
    if (is_new) parts.entries.insert(parts.entries.end(), block.begin(), block.end());
    parts.blocks.push_back(it->second);
  }
  return parts;
}

}  // namespace tilewise::text
