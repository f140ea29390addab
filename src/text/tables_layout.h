// The header of the block of tables, for those who write and read it. See TABLES.md.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tilewise::text {

inline constexpr char kTablesMagic[8] = {'T', 'W', 'T', 'E', 'X', 'T', '0', '1'};
/// For what the first layout cannot say: another model than WordPiece, another frame than BERT's.
inline constexpr char kTablesMagic2[8] = {'T', 'W', 'T', 'E', 'X', 'T', '0', '2'};
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
  kSectionsOfLayout1,
  /// Of the second layout. From here on each model has sections of its own, the first of them its
  /// settings.
  kSettings = kSectionsOfLayout1,
  kOwnSections,
  kSections = 16,
};

struct Section {
  uint64_t offset;
  uint64_t bytes;
};

/// Little-endian, like all of the block. The first layout ends after its sections.
struct TablesHeader {
  char magic[8];
  uint64_t block_bytes;
  int32_t vocabulary_size;
  int32_t max_word_characters;
  int32_t unknown_id;
  int32_t cls_id;
  int32_t sep_id;
  int32_t pad_id;
  uint32_t model;            ///< ModelTag; this and the next two are 0 in the first layout
  uint16_t pair_separators;  ///< between the two texts of a pair
  uint16_t second_type;      ///< token type of the second one
  Section sections[kSections];
};
static_assert(sizeof(TablesHeader) == 304);
inline constexpr size_t kHeaderBytesOfLayout1 =
    offsetof(TablesHeader, sections[kSectionsOfLayout1]);
static_assert(kHeaderBytesOfLayout1 == 176);

/// How the header names a tokenizer's model.
enum ModelTag : uint32_t { kWordPieceTag = 0, kByteBpeTag = 1, kUnigramTag = 2 };

}  // namespace tilewise::text
