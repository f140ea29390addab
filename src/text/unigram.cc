#include "text/unigram.h"

#include <algorithm>

#include "text/utf8.h"

namespace tilewise::text {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";  // "▁", U+2581

constexpr unsigned char same(unsigned char byte) { return byte; }

/// Bytes of the character with this first byte.
size_t character_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// The id of the piece that is the whole text, or -1.
int32_t find_piece(const Trie& pieces, std::string_view text) {
  const Trie::Match match = pieces.longest(0, text.data(), text.data() + text.size(), same);
  return match.value != Trie::kNone && match.length == text.size()
             ? static_cast<int32_t>(match.value)
             : -1;
}

std::string byte_piece(uint8_t byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + '>';
}

Result<PrecompiledMap> open_map(const BlockReader& reader) {
  TILEWISE_ASSIGN_OR_RETURN(const auto blocks, reader.section<uint16_t>(kBlocks));
  TILEWISE_ASSIGN_OR_RETURN(const auto entries, reader.section<uint32_t>(kEntries));
  TILEWISE_ASSIGN_OR_RETURN(const auto rules, reader.section<TrieUnit>(Unigram::kRules));
  TILEWISE_ASSIGN_OR_RETURN(const auto texts, reader.section<uint8_t>(kRecords));
  const CodePointTable characters(blocks, entries);
  TILEWISE_RETURN_IF_ERROR(characters.validate());
  const Trie trie(rules);
  TILEWISE_RETURN_IF_ERROR(trie.validate(1, static_cast<uint32_t>(texts.size())));
  const PrecompiledMap map(characters, trie, texts);
  TILEWISE_RETURN_IF_ERROR(map.validate());
  return map;
}

}  // namespace

Result<Unigram> Unigram::open(const BlockReader& reader) {
  Unigram model;
  TILEWISE_ASSIGN_OR_RETURN(const auto settings, reader.section<UnigramSettings>(kSettings));
  if (settings.size() != 1)
    return broken_tables("The settings of the tokenizer are missing", {}, {});
  model.settings = settings.front();
  model.unknown_id = reader.header.unknown_id;
  TILEWISE_ASSIGN_OR_RETURN(model.map, open_map(reader));
  TILEWISE_ASSIGN_OR_RETURN(model.scores, reader.section<double>(kScores));
  if (model.scores.size() > static_cast<size_t>(reader.header.vocabulary_size)) {
    return broken_tables("There are more scores than tokens",
                         std::to_string(reader.header.vocabulary_size) + " or fewer",
                         std::to_string(model.scores.size()));
  }
  TILEWISE_ASSIGN_OR_RETURN(const auto pieces, reader.section<TrieUnit>(kPieces));
  model.pieces = Trie(pieces);
  TILEWISE_RETURN_IF_ERROR(model.pieces.validate(1, static_cast<uint32_t>(model.scores.size())));
  for (size_t byte = 0; byte < model.byte_ids.size(); ++byte) {
    const bool is_used = model.settings.has(UnigramSettings::kByteFallback);
    const std::string piece = byte_piece(static_cast<uint8_t>(byte));
    model.byte_ids[byte] = is_used ? find_piece(model.pieces, piece) : -1;
  }
  return model;
}

const std::string& Unigram::Encoder::normalized(std::string_view raw) {
  const bool is_first = !is_begun_ && ids_.size() == ids_before_;
  is_begun_ = true;
  normalized_.clear();
  model_.map.normalize(raw, normalized_);
  strip();
  shorten_blanks();
  first_ = is_first ? normalized_.data() : nullptr;
  return normalized_;
}

/// White space at the ends.
void Unigram::Encoder::strip() {
  const CodePointTable& characters = model_.code_points();
  const char* begin = normalized_.data();
  const char* end = begin + normalized_.size();
  if (model_.settings.has(UnigramSettings::kStripRight)) {
    while (end != begin) {
      const char* last = end - 1;
      while ((static_cast<unsigned char>(*last) & 0xC0) == 0x80) --last;
      if (!characters.is_whitespace(decode(last).code_point)) break;
      end = last;
    }
    normalized_.resize(static_cast<size_t>(end - begin));
  }
  if (model_.settings.has(UnigramSettings::kStripLeft)) {
    while (begin != end) {
      const auto [code_point, length] = decode(begin);
      if (!characters.is_whitespace(code_point)) break;
      begin += length;
    }
    normalized_.erase(0, static_cast<size_t>(begin - normalized_.data()));
  }
}

/// Two and more blanks become one, or one "▁".
void Unigram::Encoder::shorten_blanks() {
  const bool to_blank = model_.settings.has(UnigramSettings::kBlanksToBlank);
  if (!to_blank && !model_.settings.has(UnigramSettings::kBlanksToMetaspace)) return;
  const std::string_view shortened = to_blank ? " " : kMetaspace;
  size_t from = normalized_.find("  ");
  if (from == std::string::npos) return;
  word_.assign(normalized_, 0, from);
  while (from != normalized_.size()) {
    const size_t blanks = std::min(normalized_.find_first_not_of(' ', from), normalized_.size());
    word_ += shortened;
    from = std::min(normalized_.find("  ", blanks), normalized_.size());
    word_.append(normalized_, blanks, from - blanks);
  }
  normalized_.swap(word_);
}

void Unigram::Encoder::encode_normalized(std::string_view text) {
  if (!model_.settings.has(UnigramSettings::kSplitWhitespace)) return encode_word(text);
  const CodePointTable& characters = model_.code_points();
  const char* const end = text.data() + text.size();
  const char* word = text.data();
  for (const char* p = word; p != end;) {
    const auto [code_point, length] = decode(p);
    if (characters.is_whitespace(code_point)) {
      encode_word({word, p});
      word = p + length;
    }
    p += length;
  }
  encode_word({word, end});
}

/// Blanks become "▁", which may go before the word too and begins a part of it.
void Unigram::Encoder::encode_word(std::string_view word) {
  if (word.empty()) return;
  word_.clear();
  if (is_prepended(word)) word_ += kMetaspace;
  for (size_t from = 0; from < word.size();) {
    const size_t blank = std::min(word.find(' ', from), word.size());
    word_ += word.substr(from, blank - from);
    if (blank != word.size()) word_ += kMetaspace;
    from = blank + 1;
  }
  if (!model_.settings.has(UnigramSettings::kSplitMetaspace)) return encode_part(word_);
  const std::string_view parts = word_;
  for (size_t from = 0; from < parts.size();) {
    const size_t next = std::min(parts.find(kMetaspace, from + 1), parts.size());
    encode_part(parts.substr(from, next - from));
    from = next;
  }
}

bool Unigram::Encoder::is_prepended(std::string_view word) const {
  if (word.starts_with(' ') || word.starts_with(kMetaspace)) return false;
  return model_.settings.has(UnigramSettings::kPrependAlways) ||
         (model_.settings.has(UnigramSettings::kPrependFirst) && word.data() == first_);
}

void Unigram::Encoder::encode_part(std::string_view text) {
  find_best_path(text);
  append_best_path(text);
}

/// From left to right: each piece that begins where a path ends makes a longer one. Of paths to the
/// same place that score alike the first one stays, as in `tokenizers`.
void Unigram::Encoder::find_best_path(std::string_view text) {
  const char* const end = text.data() + text.size();
  steps_.assign(text.size() + 1, Step());
  for (size_t at = 0; at < text.size();) {
    const double so_far = steps_[at].score;
    const auto take = [&](int32_t id, double score, size_t length) {
      Step& step = steps_[at + length];
      if (step.length == 0 || score > step.score) {
        step = {score, id, static_cast<uint32_t>(length)};
      }
    };
    const size_t character = character_length(text[at]);
    bool is_known = false;
    model_.pieces.for_each_prefix(0, text.data() + at, end, same, [&](uint32_t id, size_t length) {
      take(static_cast<int32_t>(id), so_far + model_.scores[id], length);
      is_known |= length == character;
      return true;
    });
    if (!is_known) take(model_.unknown_id, so_far + model_.settings.unknown_score, character);
    at += character;
  }
}

/// From right to left, and then turned round. Unknown characters that follow each other are one.
void Unigram::Encoder::append_best_path(std::string_view text) {
  const size_t first_id = ids_.size();
  for (size_t end = text.size(); end != 0;) {
    size_t begin = end - steps_[end].length;
    if (steps_[end].id != model_.unknown_id) {
      ids_.push_back(steps_[end].id);
    } else {
      while (begin != 0 && steps_[begin].id == model_.unknown_id) begin -= steps_[begin].length;
      append_unknown(text.substr(begin, end - begin));
    }
    end = begin;
  }
  std::reverse(ids_.begin() + static_cast<std::ptrdiff_t>(first_id), ids_.end());
}

/// Backwards: a piece after all (the text of the unknown piece itself), the piece of each byte, or
/// unknown.
void Unigram::Encoder::append_unknown(std::string_view text) {
  const auto byte_id = [this](char c) { return model_.byte_ids[static_cast<unsigned char>(c)]; };
  if (const int32_t id = find_piece(model_.pieces, text); id >= 0) {
    ids_.push_back(id);
  } else if (std::ranges::all_of(text, [&](char c) { return byte_id(c) >= 0; })) {
    for (auto c = text.rbegin(); c != text.rend(); ++c) ids_.push_back(byte_id(*c));
  } else {
    ids_.push_back(model_.unknown_id);
  }
}

}  // namespace tilewise::text
