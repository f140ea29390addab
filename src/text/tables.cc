#include "text/tables.h"

#include <string>
#include <utility>

namespace tilewise::text {
namespace {

Result<AddedTokens> open_added(const BlockReader& reader) {
  TILEWISE_ASSIGN_OR_RETURN(const auto records, reader.section<AddedTokenRecord>(kAddedRecords));
  TILEWISE_ASSIGN_OR_RETURN(const auto units, reader.section<TrieUnit>(kAddedTrie));
  const Trie trie(units);
  TILEWISE_RETURN_IF_ERROR(
      trie.validate(AddedTokens::kStages, static_cast<uint32_t>(records.size())));
  for (const AddedTokenRecord& record : records) {
    if (record.id < 0 || record.id >= reader.header.vocabulary_size) {
      return broken_tables("An added token lies outside of the vocabulary", {},
                           std::to_string(record.id));
    }
  }
  return AddedTokens(trie, records);
}

Status check_ids(const TablesHeader& header) {
  if (header.vocabulary_size <= 0) {
    return broken_tables("The tables have no vocabulary", {}, {});
  }
  for (const int32_t id : {header.unknown_id, header.cls_id, header.sep_id, header.pad_id}) {
    if (id < 0 || id >= header.vocabulary_size) {
      return broken_tables("A special token lies outside of the vocabulary", {},
                           std::to_string(id));
    }
  }
  return {};
}

Status check_tokens(std::span<const uint32_t> offsets, size_t bytes, int32_t vocabulary_size) {
  bool ordered = offsets.size() == static_cast<size_t>(vocabulary_size) + 1;
  for (size_t i = 1; i < offsets.size(); ++i) ordered &= offsets[i - 1] <= offsets[i];
  if (!ordered || offsets.back() > bytes)
    return broken_tables("The token texts are out of order", {}, {});
  return {};
}

/// Settings that input.cc builds frames from.
Status check_frame(const TablesHeader& header) {
  if (header.pair_separators < 1 || header.pair_separators > 2 || header.second_type > 1) {
    return broken_tables("The frame of a pair is none", "1 or 2 separators, type 0 or 1",
                         std::to_string(header.pair_separators) + " separators, type " +
                             std::to_string(header.second_type));
  }
  return {};
}

template <class Model>
Status open_model(const BlockReader& reader, TokenizerTables& tables) {
  TILEWISE_ASSIGN_OR_RETURN(tables.model, Model::open(reader));
  return {};
}

Status open_model(const BlockReader& reader, TokenizerTables& tables) {
  switch (reader.header.model) {
    case kWordPieceTag:
      return open_model<WordPiece>(reader, tables);
    case kByteBpeTag:
      return open_model<ByteBpe>(reader, tables);
    case kUnigramTag:
      return open_model<Unigram>(reader, tables);
    default:
      return broken_tables("The tables are of an unknown model", {},
                           std::to_string(reader.header.model));
  }
}

}  // namespace

Result<TokenizerTables> TokenizerTables::open(std::span<const std::byte> block) {
  TILEWISE_ASSIGN_OR_RETURN(const BlockReader reader, BlockReader::open(block));
  const TablesHeader& header = reader.header;
  TILEWISE_RETURN_IF_ERROR(check_ids(header));
  TILEWISE_RETURN_IF_ERROR(check_frame(header));
  TokenizerTables tables;
  tables.vocabulary_size = header.vocabulary_size;
  tables.unknown_id = header.unknown_id;
  tables.cls_id = header.cls_id;
  tables.sep_id = header.sep_id;
  tables.pad_id = header.pad_id;
  tables.pair_separators = header.pair_separators;
  tables.second_type = header.second_type;
  TILEWISE_RETURN_IF_ERROR(open_model(reader, tables));
  TILEWISE_ASSIGN_OR_RETURN(tables.added, open_added(reader));
  TILEWISE_ASSIGN_OR_RETURN(tables.token_offsets, reader.section<uint32_t>(kTokenOffsets));
  TILEWISE_ASSIGN_OR_RETURN(tables.token_bytes, reader.section<char>(kTokenBytes));
  TILEWISE_RETURN_IF_ERROR(
      check_tokens(tables.token_offsets, tables.token_bytes.size(), header.vocabulary_size));
  return tables;
}

const CodePointTable& TokenizerTables::code_points() const {
  return std::visit(
      [](const auto& opened) -> const CodePointTable& { return opened.code_points(); }, model);
}

std::string_view TokenizerTables::token(int32_t id) const {
  if (id < 0 || id >= vocabulary_size) return {};
  const uint32_t begin = token_offsets[static_cast<size_t>(id)];
  const uint32_t end = token_offsets[static_cast<size_t>(id) + 1];
  return {token_bytes.data() + begin, end - begin};
}

}  // namespace tilewise::text
