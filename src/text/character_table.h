// What BERT's normaliser makes of each code point. See TABLES.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/tokenizer_spec.h"
#include "text/code_point_table.h"

namespace tilewise::text {

/// What a character does to the words around it, after normalisation.
enum class CharacterKind : uint8_t {
  word = 0,         ///< goes into the word as it is
  space = 1,        ///< ends the word; one blank in the normalised text
  punctuation = 2,  ///< ends the word and is a word of its own
  ideograph = 3,    ///< the same, with spaces around it in the normalised text
  dropped = 4,      ///< as if it were not there
  replaced = 5,     ///< other characters take its place: entry / 32 is the offset of the record
  hangul = 6,       ///< a syllable that falls apart into two or three letters, by arithmetic
};
inline constexpr uint32_t kCharacterKinds = 7;

/// One character of a replacement. A dropped item puts nothing into the text, but no mark is
/// ordered across it.
struct ReplacementItem {
  CharacterKind kind;
  uint8_t combining_class;
  uint8_t length;  ///< bytes of UTF-8 that follow
  const char* bytes;
};

class CharacterTable : public CodePointTable {
 public:
  CharacterTable() = default;
  CharacterTable(std::span<const uint16_t> blocks, std::span<const uint32_t> entries,
                 std::span<const uint8_t> records)
      : CodePointTable(blocks, entries), records_(records) {}

  /// Whether every code point leads to an entry and every record lies within `records` and is
  /// UTF-8. Errors: invalid_input.
  Status validate() const;

  static CharacterKind kind(uint32_t entry) { return static_cast<CharacterKind>(entry & 7); }

  /// Calls visit(ReplacementItem) for each character that takes the place of a replaced one.
  template <class Visit>
  void for_each_item(uint32_t entry, Visit&& visit) const {
    const uint8_t* p = records_.data() + (entry >> 5);
    for (uint32_t left = *p++; left > 0; --left) {
      const ReplacementItem item{static_cast<CharacterKind>(p[0]), p[1], p[2],
                                 reinterpret_cast<const char*>(p + 3)};
      p += 3 + item.length;
      visit(item);
    }
  }

 private:
  std::span<const uint8_t> records_;
};

/// The three parts of a table, before they are laid out.
struct CharacterTableParts : CodePointTableParts {
  std::vector<uint8_t> records;
};

/// Whether the normaliser leaves nothing of `text` (valid UTF-8).
bool vanishes(std::string_view text, const model::TokenizerSpec& spec);

/// Uses the flags of `spec` alone.
CharacterTableParts build_character_table(const model::TokenizerSpec& spec);

}  // namespace tilewise::text
