// From a TokenizerSpec to the block of tables.
#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "text/normalizer.h"
#include "text/tables.h"
#include "text/tables_layout.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace tilewise::text {
namespace {

class BlockWriter {
 public:
  BlockWriter() : block_(sizeof(TablesHeader)) {}

  template <class T>
  void add(SectionIndex index, const std::vector<T>& values) {
    block_.resize((block_.size() + kTablesAlignment - 1) / kTablesAlignment * kTablesAlignment);
    const auto bytes = std::as_bytes(std::span(values));
    header.sections[index] = {block_.size(), bytes.size()};
    block_.insert(block_.end(), bytes.begin(), bytes.end());
  }

  std::vector<std::byte> finish() {
    header.block_bytes = block_.size();
    std::memcpy(block_.data(), &header, sizeof header);
    return std::move(block_);
  }

  TablesHeader header = {};

 private:
  std::vector<std::byte> block_;
};

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
  std::vector<std::vector<TrieKey>> roots(TokenizerTables::kPieceRoots);
  for (uint32_t id = 0; id < spec.vocabulary.size(); ++id) {
    const std::string& token = spec.vocabulary[id];
    if (can_be_piece(token)) roots[TokenizerTables::kWordStart].push_back({token, id});
    if (!token.starts_with(spec.continuation_prefix)) continue;
    std::string rest = token.substr(spec.continuation_prefix.size());
    if (can_be_piece(rest)) {
      roots[TokenizerTables::kContinuation].push_back({std::move(rest), id});
    }
  }
  return build_trie(std::move(roots));
}

/// Of tokens that look the same once normalised the first one counts, so they go in backwards.
std::vector<TrieUnit> build_added_trie(const model::TokenizerSpec& spec,
                                       const CharacterTable& characters) {
  std::vector<std::vector<TrieKey>> roots(AddedTokens::kStages);
  for (size_t i = spec.added_tokens.size(); i-- > 0;) {
    const model::AddedToken& token = spec.added_tokens[i];
    std::string key = token.normalized ? normalized_text(characters, token.content) : token.content;
    if (key.empty()) continue;
    const auto stage = token.normalized ? AddedTokens::kNormalized : AddedTokens::kRaw;
    roots[stage].push_back({std::move(key), static_cast<uint32_t>(i)});
  }
  return build_trie(std::move(roots));
}

std::vector<AddedTokenRecord> added_records(const model::TokenizerSpec& spec) {
  std::vector<AddedTokenRecord> records;
  for (const model::AddedToken& token : spec.added_tokens) {
    uint32_t flags = 0;
    if (token.single_word) flags |= AddedTokenRecord::kSingleWord;
    if (token.left_strip) flags |= AddedTokenRecord::kLeftStrip;
    if (token.right_strip) flags |= AddedTokenRecord::kRightStrip;
    records.push_back({token.id, flags});
  }
  return records;
}

/// The token of each id, those of added tokens outside of the vocabulary too.
std::vector<std::string> all_tokens(const model::TokenizerSpec& spec) {
  std::vector<std::string> tokens = spec.vocabulary;
  for (const model::AddedToken& token : spec.added_tokens) {
    const auto id = static_cast<size_t>(token.id);
    if (id >= tokens.size()) tokens.resize(id + 1);
    tokens[id] = token.content;
  }
  return tokens;
}

}  // namespace

std::vector<std::byte> build_tables(const model::TokenizerSpec& spec) {
  const CharacterTableParts parts = build_character_table(spec);
  const CharacterTable characters(parts.blocks, parts.entries, parts.records);
  const std::vector<std::string> tokens = all_tokens(spec);
  std::vector<uint32_t> token_offsets = {0};
  std::vector<char> token_bytes;
  for (const std::string& token : tokens) {
    token_bytes.insert(token_bytes.end(), token.begin(), token.end());
    token_offsets.push_back(static_cast<uint32_t>(token_bytes.size()));
  }

  BlockWriter writer;
  std::memcpy(writer.header.magic, kTablesMagic, sizeof kTablesMagic);
  writer.header.vocabulary_size = static_cast<int32_t>(tokens.size());
  writer.header.max_word_characters = std::max(spec.max_word_characters, 0);
  writer.header.unknown_id = spec.unknown_id;
  writer.header.cls_id = spec.cls_id;
  writer.header.sep_id = spec.sep_id;
  writer.header.pad_id = spec.pad_id;
  writer.add(kBlocks, parts.blocks);
  writer.add(kEntries, parts.entries);
  writer.add(kRecords, parts.records);
  writer.add(kPieces, build_pieces(spec));
  writer.add(kAddedRecords, added_records(spec));
  writer.add(kAddedTrie, build_added_trie(spec, characters));
  writer.add(kTokenOffsets, token_offsets);
  writer.add(kTokenBytes, token_bytes);
  return writer.finish();
}

}  // namespace tilewise::text
