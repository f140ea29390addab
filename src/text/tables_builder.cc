// From a TokenizerSpec to the block of tables.
#include <string>
#include <utility>
#include <vector>

#include "text/added_tokens.h"
#include "text/byte_bpe.h"
#include "text/tables_block.h"
#include "text/tokenizer.h"
#include "text/unigram.h"
#include "text/wordpiece.h"

namespace tilewise::text {
namespace {

/// Layout 1 is WordPiece with BERT's frame; all else needs the second.
bool fits_layout1(const model::TokenizerSpec& spec) {
  return spec.model == model::TokenizerModel::wordpiece && spec.pair_separators == 1 &&
         spec.second_type == 1;
}

BlockWriter begin_block(const model::TokenizerSpec& spec) {
  BlockWriter writer(fits_layout1(spec) ? kTablesMagic : kTablesMagic2);
  if (!fits_layout1(spec)) {
    writer.header.pair_separators = static_cast<uint16_t>(spec.pair_separators);
    writer.header.second_type = static_cast<uint16_t>(spec.second_type);
  }
  return writer;
}

/// The sections of the spec's model.
TextNormalizer add_model(const model::TokenizerSpec& spec, BlockWriter& writer) {
  switch (spec.model) {
    case model::TokenizerModel::byte_bpe:
      return add_byte_bpe(spec, writer);
    case model::TokenizerModel::unigram:
      return add_unigram(spec, writer);
    case model::TokenizerModel::wordpiece:
      break;
  }
  return add_wordpiece(spec, writer);
}

/// Of tokens that look the same once normalised the first one counts, so they go in backwards.
std::vector<TrieUnit> build_added_trie(const model::TokenizerSpec& spec,
                                       const TextNormalizer& normalized) {
  std::vector<std::vector<TrieKey>> roots(AddedTokens::kStages);
  for (size_t i = spec.added_tokens.size(); i-- > 0;) {
    const model::AddedToken& token = spec.added_tokens[i];
    std::string key = token.normalized ? normalized(token.content) : token.content;
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
  const std::vector<std::string> tokens = all_tokens(spec);
  std::vector<uint32_t> token_offsets = {0};
  std::vector<char> token_bytes;
  for (const std::string& token : tokens) {
    token_bytes.insert(token_bytes.end(), token.begin(), token.end());
    token_offsets.push_back(static_cast<uint32_t>(token_bytes.size()));
  }

  BlockWriter writer = begin_block(spec);
  const TextNormalizer normalized = add_model(spec, writer);
  writer.header.vocabulary_size = static_cast<int32_t>(tokens.size());
  writer.header.unknown_id = spec.unknown_id;
  writer.header.cls_id = spec.cls_id;
  writer.header.sep_id = spec.sep_id;
  writer.header.pad_id = spec.pad_id;
  writer.add(kAddedRecords, added_records(spec));
  writer.add(kAddedTrie, build_added_trie(spec, normalized));
  writer.add(kTokenOffsets, token_offsets);
  writer.add(kTokenBytes, token_bytes);
  return writer.finish();
}

}  // namespace tilewise::text
