// The block of tables that a tokenizer runs on: how it is laid out, opened and checked. See
// TABLES.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/status.h"
#include "text/added_tokens.h"
#include "text/character_table.h"
#include "text/trie.h"

namespace tilewise::text {

/// What a byte of the text does, so that ASCII needs no decoding.
enum class ByteClass : uint8_t {
  word,         ///< an ASCII character of a word; Tables::fold says which byte takes its place
  space,        ///< an ASCII character that ends the word
  punctuation,  ///< an ASCII character that is a word of its own; Tables::punctuation_ids
  other,        ///< not ASCII, or an ASCII character that is dropped: the general way
};

/// The opened block. Views into it, and what follows from it for ASCII.
struct TokenizerTables {
  /// Roots of `pieces`: tokens that begin a word, and those that go on within one (without their
  /// prefix).
  static constexpr uint32_t kWordStart = 0, kContinuation = 1, kPieceRoots = 2;

  CharacterTable characters;
  Trie pieces;
  AddedTokens added;
  std::span<const uint32_t> token_offsets;  ///< vocabulary_size + 1
  std::span<const char> token_bytes;

  int32_t vocabulary_size = 0;
  int32_t max_word_characters = 0;
  int32_t unknown_id = 0;
  int32_t cls_id = 0;
  int32_t sep_id = 0;
  int32_t pad_id = 0;

  std::array<ByteClass, 256> byte_class = {};
  std::array<uint8_t, 256> fold = {};
  std::array<int32_t, 128> punctuation_ids = {};

  /// Errors: invalid_input, with what is broken.
  static Result<TokenizerTables> open(std::span<const std::byte> block);

  std::string_view token(int32_t id) const;
};

}  // namespace tilewise::text
