#include "text/tokenizer.h"

#include "text/normalizer.h"
#include "text/tables.h"
#include "text/utf8.h"

namespace tilewise::text {

struct Tokenizer::Tables : TokenizerTables {
  explicit Tables(const TokenizerTables& tables) : TokenizerTables(tables) {}
};

namespace {

/// One call of encode(): splits the text into words and looks up their pieces.
class TextEncoder {
 public:
  TextEncoder(const TokenizerTables& tables, std::vector<int32_t>& ids)
      : tables_(tables), ids_(ids) {
    // Text between added tokens that ask for it is normalised when it comes here.
    if (tables.added.any(AddedTokens::kNormalized)) order_ = MarkOrder::keep;
  }

  /// The text between two added tokens.
  void encode(std::string_view text) {
    const char* p = text.data();
    const char* const end = p + text.size();
    while (p != end) {
      switch (class_of(*p)) {
        case ByteClass::space:
          ++p;
          break;
        case ByteClass::punctuation:
          ids_.push_back(tables_.punctuation_ids[static_cast<unsigned char>(*p++)]);
          break;
        case ByteClass::word:
          p = encode_ascii_word(p, end);
          break;
        case ByteClass::other:
          p = encode_any_words(p, end);
          break;
      }
    }
  }

  /// What the normaliser makes of a text that is not plain ASCII.
  void put(CharacterKind kind, const char* bytes, size_t length) {
    if (kind != CharacterKind::word) end_word();
    if (kind == CharacterKind::space) return;
    // The bytes of a word that is too long already are not needed any more.
    if (characters_++ < tables_.max_word_characters) word_.append(bytes, length);
    if (kind != CharacterKind::word) end_word();
  }

 private:
  ByteClass class_of(char byte) const {
    return tables_.byte_class[static_cast<unsigned char>(byte)];
  }

  const char* encode_ascii_word(const char* begin, const char* end) {
    const char* p = begin + 1;
    while (p != end && class_of(*p) == ByteClass::word) ++p;
    if (p != end && class_of(*p) == ByteClass::other) return encode_any_words(begin, end);
    if (p - begin > tables_.max_word_characters) {
      ids_.push_back(tables_.unknown_id);
    } else {
      append_pieces(begin, p, [this](unsigned char byte) { return tables_.fold[byte]; });
    }
    return p;
  }

  /// Up to the next white space in ASCII, where a word ends whatever is around it.
  const char* encode_any_words(const char* begin, const char* end) {
    const char* stop = begin;
    while (stop != end && class_of(*stop) != ByteClass::space) ++stop;
    Normalizer<TextEncoder>(tables_.characters, *this, order_)
        .normalize({begin, static_cast<size_t>(stop - begin)});
    end_word();
    return stop;
  }

  void end_word() {
    if (characters_ == 0) return;
    if (characters_ > tables_.max_word_characters) {
      ids_.push_back(tables_.unknown_id);
    } else {
      append_pieces(word_.data(), word_.data() + word_.size(), [](unsigned char b) { return b; });
    }
    characters_ = 0;
    word_.clear();
  }

  /// WordPiece: the longest token first, then the longest that goes on; all or the unknown token.
  template <class Fold>
  void append_pieces(const char* p, const char* end, Fold fold) {
    const size_t before = ids_.size();
    uint32_t root = TokenizerTables::kWordStart;
    while (p != end) {
      const Trie::Match match = tables_.pieces.longest(root, p, end, fold);
      if (match.value == Trie::kNone) {
        ids_.resize(before);
        ids_.push_back(tables_.unknown_id);
        return;
      }
      ids_.push_back(static_cast<int32_t>(match.value));
      p += match.length;
      root = TokenizerTables::kContinuation;
    }
  }

  const TokenizerTables& tables_;
  std::vector<int32_t>& ids_;
  MarkOrder order_ = MarkOrder::canonical;
  std::string word_;        ///< normalised, so far
  int64_t characters_ = 0;  ///< of the word, also those beyond the limit
};

}  // namespace

Result<Tokenizer> Tokenizer::open(std::span<const std::byte> tables) {
  TILEWISE_ASSIGN_OR_RETURN(const auto opened, TokenizerTables::open(tables));
  return Tokenizer(std::make_shared<const Tables>(opened));
}

void Tokenizer::encode(std::string_view text, std::vector<int32_t>& ids) const {
  const TokenizerTables& tables = *tables_;
  std::string repaired;
  if (!is_valid_utf8(text)) {
    repaired = replace_invalid_utf8(text);
    text = repaired;
  }
  TextEncoder encoder(tables, ids);
  const auto on_token = [&ids](int32_t id) { ids.push_back(id); };
  const auto on_words = [&encoder](std::string_view words) { encoder.encode(words); };
  const auto on_raw = [&](std::string_view raw) {
    if (!tables.added.any(AddedTokens::kNormalized)) return on_words(raw);
    const std::string normalized = normalized_text(tables.characters, raw);
    tables.added.split(AddedTokens::kNormalized, normalized, tables.characters, on_words, on_token);
  };
  tables.added.split(AddedTokens::kRaw, text, tables.characters, on_raw, on_token);
}

int32_t Tokenizer::cls_id() const { return tables_->cls_id; }
int32_t Tokenizer::sep_id() const { return tables_->sep_id; }
int32_t Tokenizer::pad_id() const { return tables_->pad_id; }
int32_t Tokenizer::vocabulary_size() const { return tables_->vocabulary_size; }
std::string_view Tokenizer::token(int32_t id) const { return tables_->token(id); }

bool Tokenizer::is_special(int32_t id) const {
  const TokenizerTables& tables = *tables_;
  if (id == tables.cls_id || id == tables.sep_id || id == tables.pad_id || id == tables.unknown_id)
    return true;
  bool found = false;
  tables.added.split(
      AddedTokens::kRaw, token(id), tables.characters, [](std::string_view) {},
      [&](int32_t added) { found |= added == id; });
  return found;
}

}  // namespace tilewise::text
