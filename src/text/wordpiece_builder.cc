// From a TokenizerSpec to the tables of WordPiece.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "text/unicode.h"
#include "text/wordpiece.h"

namespace tilewise::text {
namespace {

/// Words hold no white space, and punctuation only as a whole: other tokens are found as added
/// tokens or never.
bool can_be_piece(std::string_view token) {
  size_t characters = 0;
  bool splits = false;
  for (size_t i = 0; i < token.size(); ++characters) {
    const auto [c, length] = decode(token.data() + i);
    splits |= is_whitespace(c) || is_punctuation(c);
    i += length;
  }
  return characters == 1 || (characters > 1 && !splits);
}

std::vector<TrieUnit> build_pieces(const model::TokenizerSpec& spec) {
  std::vector<std::vector<TrieKey>> roots(WordPiece::kPieceRoots);
  for (uint32_t id = 0; id < spec.vocabulary.size(); ++id) {
    const std::string& token = spec.vocabulary[id];
    if (can_be_piece(token)) roots[WordPiece::kWordStart].push_back({token, id});
    if (!token.starts_with(spec.continuation_prefix)) continue;
    std::string rest = token.substr(spec.continuation_prefix.size());
    if (can_be_piece(rest)) {
      roots[WordPiece::kContinuation].push_back({std::move(rest), id});
    }
  }
  return build_trie(std::move(roots));
}

}  // namespace

TextNormalizer add_wordpiece(const model::TokenizerSpec& spec, BlockWriter& writer) {
  CharacterTableParts parts = build_character_table(spec);
  writer.header.model = kWordPieceTag;
  writer.header.max_word_characters = std::max(spec.max_word_characters, 0);
  writer.add(kBlocks, parts.blocks);
  writer.add(kEntries, parts.entries);
  writer.add(kRecords, parts.records);
  writer.add(kPieces, build_pieces(spec));
  return [parts = std::move(parts)](std::string_view text) {
    return normalized_text(CharacterTable(parts.blocks, parts.entries, parts.records), text);
  };
}

}  // namespace tilewise::text
