// BERT's tokenizer: its normalisation, words at white space and punctuation, and WordPiece (Wu et
// al. 2016) within them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/tokenizer_spec.h"
#include "text/character_table.h"
#include "text/normalizer.h"
#include "text/tables_block.h"
#include "text/trie.h"

namespace tilewise::text {

/// What a byte of the text does, so that ASCII needs no decoding.
enum class ByteClass : uint8_t {
  word,         ///< an ASCII character of a word; WordPiece::fold says which byte takes its place
  space,        ///< an ASCII character that ends the word
  punctuation,  ///< an ASCII character that is a word of its own; WordPiece::punctuation_ids
  other,        ///< not ASCII, or an ASCII character that is dropped: the general way
};

/// Its part of the opened tables, and what follows from it for ASCII. Immutable and thread-safe.
struct WordPiece {
  class Encoder;
  static constexpr auto kModel = model::TokenizerModel::wordpiece;

  /// Roots of `pieces`: tokens that begin a word, and those that go on within one (without their
  /// prefix).
  static constexpr uint32_t kWordStart = 0, kContinuation = 1, kPieceRoots = 2;

  CharacterTable characters;
  Trie pieces;
  int32_t max_word_characters = 0;
  int32_t unknown_id = 0;

  std::array<ByteClass, 256> byte_class = {};
  std::array<uint8_t, 256> fold = {};
  std::array<int32_t, 128> punctuation_ids = {};

  /// Errors: invalid_input, with what is broken.
  static Result<WordPiece> open(const BlockReader& reader);

  const CodePointTable& code_points() const { return characters; }
};

/// One call of Tokenizer::encode(): appends the ids of the texts between added tokens. All texts
/// are valid UTF-8.
class WordPiece::Encoder {
 public:
  Encoder(const WordPiece& model, std::vector<int32_t>& ids) : model_(model), ids_(ids) {}

  void encode(std::string_view raw) {
    order_ = MarkOrder::canonical;
    encode_words(raw);
  }
  void encode_normalized(std::string_view text) {
    order_ = MarkOrder::keep;
    encode_words(text);
  }
  std::string normalized(std::string_view raw) const {
    return normalized_text(model_.characters, raw);
  }

  /// What the normaliser makes of a text that is not plain ASCII.
  void put(CharacterKind kind, const char* bytes, size_t length);

 private:
  ByteClass class_of(char byte) const {
    return model_.byte_class[static_cast<unsigned char>(byte)];
  }
  void encode_words(std::string_view text);
  const char* encode_ascii_word(const char* begin, const char* end);
  const char* encode_any_words(const char* begin, const char* end);
  void end_word();
  template <class Fold>
  void append_pieces(const char* p, const char* end, Fold fold);

  const WordPiece& model_;
  std::vector<int32_t>& ids_;
  MarkOrder order_ = MarkOrder::canonical;
  std::string word_;        ///< normalised, so far
  int64_t characters_ = 0;  ///< of the word, also those beyond the limit
};

/// Writes the sections that WordPiece::open() reads, and its fields of the header. Returns what
/// normalises a text.
TextNormalizer add_wordpiece(const model::TokenizerSpec& spec, BlockWriter& writer);

}  // namespace tilewise::text
