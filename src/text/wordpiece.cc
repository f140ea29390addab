#include "text/wordpiece.h"

#include "text/utf8.h"

namespace tilewise::text {
namespace {

/// What the character table says of one ASCII character, as a class of bytes.
void classify(WordPiece& model, uint8_t byte) {
  const uint32_t entry = model.characters.entry(byte);
  ByteClass& byte_class = model.byte_class[byte];
  byte_class = ByteClass::other;
  model.fold[byte] = byte;
  switch (CharacterTable::kind(entry)) {
    case CharacterKind::word:
      byte_class = ByteClass::word;
      return;
    case CharacterKind::space:
      byte_class = ByteClass::space;
      return;
    case CharacterKind::punctuation:
      byte_class = ByteClass::punctuation;
      return;
    case CharacterKind::replaced:
      break;
    default:
      return;
  }
  int items = 0;
  ReplacementItem last = {};
  model.characters.for_each_item(entry, [&](const ReplacementItem& item) {
    ++items;
    last = item;
  });
  if (items != 1 || last.combining_class != 0 || last.length != 1) return;
  if (last.kind == CharacterKind::space) byte_class = ByteClass::space;
  if (last.kind == CharacterKind::word) {
    byte_class = ByteClass::word;
    model.fold[byte] = static_cast<uint8_t>(last.bytes[0]);
  }
}

void derive_ascii(WordPiece& model) {
  model.byte_class.fill(ByteClass::other);
  for (uint8_t byte = 0; byte < 128; ++byte) {
    classify(model, byte);
    const char text = static_cast<char>(byte);
    const auto same = [](unsigned char b) { return b; };
    const auto match = model.pieces.longest(WordPiece::kWordStart, &text, &text + 1, same);
    const bool known = match.value != Trie::kNone && model.max_word_characters > 0;
    model.punctuation_ids[byte] = known ? static_cast<int32_t>(match.value) : model.unknown_id;
  }
}

Result<CharacterTable> open_characters(const BlockReader& reader) {
  TILEWISE_ASSIGN_OR_RETURN(const auto blocks, reader.section<uint16_t>(kBlocks));
  TILEWISE_ASSIGN_OR_RETURN(const auto entries, reader.section<uint32_t>(kEntries));
  TILEWISE_ASSIGN_OR_RETURN(const auto records, reader.section<uint8_t>(kRecords));
  const CharacterTable table(blocks, entries, records);
  TILEWISE_RETURN_IF_ERROR(table.validate());
  return table;
}

}  // namespace

Result<WordPiece> WordPiece::open(const BlockReader& reader) {
  const TablesHeader& header = reader.header;
  if (header.max_word_characters < 0) {
    return broken_tables("The longest word has a negative length", {},
                         std::to_string(header.max_word_characters));
  }
  WordPiece model;
  model.max_word_characters = header.max_word_characters;
  model.unknown_id = header.unknown_id;
  TILEWISE_ASSIGN_OR_RETURN(model.characters, open_characters(reader));
  TILEWISE_ASSIGN_OR_RETURN(const auto pieces, reader.section<TrieUnit>(kPieces));
  model.pieces = Trie(pieces);
  TILEWISE_RETURN_IF_ERROR(
      model.pieces.validate(kPieceRoots, static_cast<uint32_t>(header.vocabulary_size)));
  derive_ascii(model);
  return model;
}

/// WordPiece: the longest token first, then the longest that goes on; all or the unknown token.
template <class Fold>
void WordPiece::Encoder::append_pieces(const char* p, const char* end, Fold fold_byte) {
  const size_t before = ids_.size();
  uint32_t root = WordPiece::kWordStart;
  while (p != end) {
    const Trie::Match match = model_.pieces.longest(root, p, end, fold_byte);
    if (match.value == Trie::kNone) {
      ids_.resize(before);
      ids_.push_back(model_.unknown_id);
      return;
    }
    ids_.push_back(static_cast<int32_t>(match.value));
    p += match.length;
    root = WordPiece::kContinuation;
  }
}

void WordPiece::Encoder::encode_words(std::string_view text) {
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p != end) {
    switch (class_of(*p)) {
      case ByteClass::space:
        ++p;
        break;
      case ByteClass::punctuation:
        ids_.push_back(model_.punctuation_ids[static_cast<unsigned char>(*p++)]);
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

void WordPiece::Encoder::put(CharacterKind kind, const char* bytes, size_t length) {
  if (kind != CharacterKind::word) end_word();
  if (kind == CharacterKind::space) return;
  // The bytes of a word that is too long already are not needed any more.
  if (characters_++ < model_.max_word_characters) word_.append(bytes, length);
  if (kind != CharacterKind::word) end_word();
}

const char* WordPiece::Encoder::encode_ascii_word(const char* begin, const char* end) {
  const char* p = begin + 1;
  while (p != end && class_of(*p) == ByteClass::word) ++p;
  if (p != end && class_of(*p) == ByteClass::other) return encode_any_words(begin, end);
  if (p - begin > model_.max_word_characters) {
    ids_.push_back(model_.unknown_id);
  } else {
    append_pieces(begin, p, [this](unsigned char byte) { return model_.fold[byte]; });
  }
  return p;
}

/// Up to the next white space in ASCII, where a word ends whatever is around it.
const char* WordPiece::Encoder::encode_any_words(const char* begin, const char* end) {
  const char* stop = begin;
  while (stop != end && class_of(*stop) != ByteClass::space) ++stop;
  Normalizer<Encoder>(model_.characters, *this, order_)
      .normalize({begin, static_cast<size_t>(stop - begin)});
  end_word();
  return stop;
}

void WordPiece::Encoder::end_word() {
  if (characters_ == 0) return;
  if (characters_ > model_.max_word_characters) {
    ids_.push_back(model_.unknown_id);
  } else {
    append_pieces(word_.data(), word_.data() + word_.size(), [](unsigned char b) { return b; });
  }
  characters_ = 0;
  word_.clear();
}

}  // namespace tilewise::text
