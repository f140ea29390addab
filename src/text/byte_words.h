// GPT-2's words, the expression written out by hand:
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
#pragma once

#include <array>
#include <cstdint>

#include "text/code_point_table.h"
#include "text/utf8.h"

namespace tilewise::text {

/// What the expression tells apart. The lowest two bits of a table's entry.
enum class WordClass : uint8_t { symbol = 0, letter = 1, number = 2, space = 3 };

class ByteWords {
 public:
  ByteWords() = default;
  explicit ByteWords(const CodePointTable& characters) : characters_(characters) {
    for (uint8_t byte = 0; byte < 0x80; ++byte) ascii_[byte] = class_in(characters.entry(byte));
  }

  static WordClass class_in(uint32_t entry) { return static_cast<WordClass>(entry & 3); }

  /// The end of the word that begins at `p`, which is not `end`. The text is valid UTF-8.
  const char* end_of_word(const char* p, const char* end) const {
    if (*p == '\'') {
      if (const int length = contraction(p, end); length != 0) return p + length;
    }
    if (*p == ' ' && p + 1 != end) {
      // One blank goes with what follows.
      const auto [next, length] = at(p + 1);
      if (next != WordClass::space) return end_of_run(next, p + 1 + length, end);
    }
    const auto [first, length] = at(p);
    if (first == WordClass::space) return end_of_space(p, end);
    return end_of_run(first, p + length, end);
  }

 private:
  struct Character {
    WordClass word_class;
    uint32_t length;
  };

  Character at(const char* p) const {
    const auto byte = static_cast<unsigned char>(*p);
    if (byte < 0x80) return {ascii_[byte], 1};
    const auto [code_point, length] = decode(p);
    return {class_in(characters_.entry(code_point)), length};
  }

  const char* end_of_run(WordClass word_class, const char* p, const char* end) const {
    while (p != end) {
      const auto [next, length] = at(p);
      if (next != word_class) break;
      p += length;
    }
    return p;
  }

  /// White space before a word leaves its last character to it, unless it has no other.
  const char* end_of_space(const char* begin, const char* end) const {
    const char* last = begin;
    const char* p = begin;
    while (p != end) {
      const auto [next, length] = at(p);
      if (next != WordClass::space) return last == begin ? p : last;
      last = p;
      p += length;
    }
    return end;
  }

  static int contraction(const char* p, const char* end) {
    const char first = end - p > 1 ? p[1] : '\0';
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
    const char second = end - p > 2 ? p[2] : '\0';
    const bool is_long = (first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
                         (first == 'l' && second == 'l');
    return is_long ? 3 : 0;
  }

  CodePointTable characters_;
  std::array<WordClass, 128> ascii_ = {};
};

}  // namespace tilewise::text
