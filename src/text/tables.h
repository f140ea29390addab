// The block of tables that a tokenizer runs on, opened and checked. See TABLES.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "base/status.h"
#include "text/added_tokens.h"
#include "text/byte_bpe.h"
#include "text/unigram.h"
#include "text/wordpiece.h"

namespace tilewise::text {

/// Each is what a Tokenizer runs between added tokens: it has an Encoder, code_points() and open().
using OpenedModel = std::variant<WordPiece, ByteBpe, Unigram>;

/// The opened block: views into it.
struct TokenizerTables {
  OpenedModel model;
  AddedTokens added;
  std::span<const uint32_t> token_offsets;  ///< vocabulary_size + 1
  std::span<const char> token_bytes;

  int32_t vocabulary_size = 0;
  int32_t unknown_id = 0;
  int32_t cls_id = 0;
  int32_t sep_id = 0;
  int32_t pad_id = 0;
  int32_t pair_separators = 1;
  int32_t second_type = 1;

  /// Errors: invalid_input, with what is broken.
  static Result<TokenizerTables> open(std::span<const std::byte> block);

  const CodePointTable& code_points() const;
  std::string_view token(int32_t id) const;
};

}  // namespace tilewise::text
