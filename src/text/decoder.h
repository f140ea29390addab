// Token ids back to text.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "text/tokenizer.h"

namespace tilewise::text {

/// What Hugging Face's decoder of the tokenizer's model gives. Unigram: the pieces with blanks for
/// "▁" (and "<0x41>" as it is). Byte BPE: the bytes of the tokens, with U+FFFD for what is no
/// UTF-8. WordPiece (with clean-up, as BERT's): pieces that continue a word join it, other tokens
/// follow a space, and the spaces before punctuation and English contractions go. Ids without a
/// token add nothing. With `skip_special` neither do "[CLS]",
/// "[PAD]" and their like.
std::string decode(const Tokenizer& tokenizer, std::span<const int32_t> ids, bool skip_special);

}  // namespace tilewise::text
