// The header of the block of tables, for those who write and read it. See TABLES.md.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tilewise::text {

inline constexpr char kTablesMagic[8] = {'T', 'W', 'T', 'E', 'X', 'T', '0', '1'};
inline constexpr size_t kTablesAlignment = 64;

enum SectionIndex {
  kBlocks,
  kEntries,
  kRecords,
  kPieces,
  kAddedRecords,
  kAddedTrie,
  kTokenOffsets,
  kTokenBytes,
  kSections,
};

struct Section {
  uint64_t offset;
  uint64_t bytes;
};

/// Little-endian, like all of the block.
struct TablesHeader {
  char magic[8];
  uint64_t block_bytes;
  int32_t vocabulary_size;
  int32_t max_word_characters;
  int32_t unknown_id;
  int32_t cls_id;
  int32_t sep_id;
  int32_t pad_id;
  uint64_t reserved;
  Section sections[kSections];
};
static_assert(sizeof(TablesHeader) == 176);

}  // namespace tilewise::text
