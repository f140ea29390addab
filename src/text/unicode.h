// The properties of a character as Hugging Face `tokenizers` sees them: utf8proc's, but for the
// differences listed in unicode_differences.h. Slow: used to build tables, never to read text.
#pragma once

#include <cstdint>
#include <vector>

namespace tilewise::text {

inline constexpr uint32_t kCodePoints = 0x110000;

/// Cc, Cf, Co without tab, line feed and carriage return: what BERT's cleaning removes, with U+0000
/// and U+FFFD.
bool is_control(uint32_t code_point);
/// Unicode's White_Space.
bool is_whitespace(uint32_t code_point);
/// The categories P* and the ASCII symbols: splits words and is a word of its own.
bool is_punctuation(uint32_t code_point);
/// The ideographs around which BERT puts spaces.
bool is_cjk(uint32_t code_point);
/// What accent stripping removes (Mn).
bool is_nonspacing_mark(uint32_t code_point);
/// \w of a regular expression: what touches a "single word" from outside.
bool is_word_character(uint32_t code_point);

/// \p{L} and \p{N} of the expression that byte BPE cuts words with.
bool is_letter(uint32_t code_point);
bool is_number(uint32_t code_point);

/// Canonical combining class; 0 for a starter.
uint8_t combining_class(uint32_t code_point);
/// Full canonical decomposition (NFD), the character itself where it has none.
std::vector<uint32_t> decompose(uint32_t code_point);
/// Two characters and the one that takes their place.
struct Composition {
  uint32_t first;
  uint32_t second;
  uint32_t composed;
};
/// All pairs that canonical composition puts together (Unicode 15, 3.11), but for Hangul;
/// ascending.
std::vector<Composition> compositions();
/// Full lower-casing without regard to the neighbours.
std::vector<uint32_t> lower_case(uint32_t code_point);

}  // namespace tilewise::text
