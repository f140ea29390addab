// Token ids back to text.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "text/tokenizer.h"

namespace tilewise::text {

/// What Hugging Face's WordPiece decoder with clean-up gives (BERT's): pieces that continue a word
/// join it, other tokens follow a space, and the spaces before punctuation and English contractions
/// go. Ids without a token add nothing. With `skip_special` neither do "[CLS]", "[PAD]" and their
/// like.
std::string decode(const Tokenizer& tokenizer, std::span<const int32_t> ids, bool skip_special);

}  // namespace tilewise::text
