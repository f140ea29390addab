#include "text/tables.h"

#include <cstring>
#include <string>
#include <utility>

#include "text/tables_layout.h"

namespace tilewise::text {
namespace {

Status broken(std::string what, std::string expected, std::string found) {
  return invalid_input({.what = std::move(what),
                        .where = "tokenizer tables",
                        .expected = std::move(expected),
                        .found = std::move(found),
                        .remedy = "compile the model again"});
}

/// Reads the header and hands out sections of it, as long as all is well.
class BlockReader {
 public:
  static Result<BlockReader> open(std::span<const std::byte> block) {
    if (reinterpret_cast<uintptr_t>(block.data()) % kTablesAlignment != 0) {
      return broken("The tables are not aligned", "an address divisible by 64", {});
    }
    if (block.size() < sizeof(TablesHeader)) {
      return broken("The tables are shorter than their header",
                    std::to_string(sizeof(TablesHeader)) + " bytes", std::to_string(block.size()));
    }
    BlockReader reader(block);
    std::memcpy(&reader.header, block.data(), sizeof(TablesHeader));
    if (std::memcmp(reader.header.magic, kTablesMagic, sizeof kTablesMagic) != 0) {
      return broken("The tables begin with an unknown mark", "TWTEXT01", {});
    }
    if (reader.header.block_bytes != block.size()) {
      return broken("The tables have another length than their header says",
                    std::to_string(reader.header.block_bytes) + " bytes",
                    std::to_string(block.size()));
    }
    return reader;
  }

  template <class T>
  Result<std::span<const T>> section(SectionIndex index) const {
    const auto [offset, bytes] = header.sections[index];
    if (offset % kTablesAlignment != 0 || bytes % sizeof(T) != 0 || offset > block_.size() ||
        bytes > block_.size() - offset) {
      return broken("A section does not lie within the tables", {},
                    "section " + std::to_string(index) + ": " + std::to_string(bytes) +
                        " bytes from " + std::to_string(offset));
    }
    return std::span(reinterpret_cast<const T*>(block_.data() + offset), bytes / sizeof(T));
  }

  TablesHeader header = {};

 private:
  explicit BlockReader(std::span<const std::byte> block) : block_(block) {}
  std::span<const std::byte> block_;
};

Result<CharacterTable> open_characters(const BlockReader& reader) {
  TILEWISE_ASSIGN_OR_RETURN(const auto blocks, reader.section<uint16_t>(kBlocks));
  TILEWISE_ASSIGN_OR_RETURN(const auto entries, reader.section<uint32_t>(kEntries));
  TILEWISE_ASSIGN_OR_RETURN(const auto records, reader.section<uint8_t>(kRecords));
  if (blocks.size() != CharacterTable::kBlocks) {
    return broken("The character table does not cover Unicode",
                  std::to_string(CharacterTable::kBlocks) + " blocks",
                  std::to_string(blocks.size()));
  }
  const CharacterTable table(blocks, entries, records);
  TILEWISE_RETURN_IF_ERROR(table.validate());
  return table;
}

Result<AddedTokens> open_added(const BlockReader& reader) {
  TILEWISE_ASSIGN_OR_RETURN(const auto records, reader.section<AddedTokenRecord>(kAddedRecords));
  TILEWISE_ASSIGN_OR_RETURN(const auto units, reader.section<TrieUnit>(kAddedTrie));
  const Trie trie(units);
  TILEWISE_RETURN_IF_ERROR(
      trie.validate(AddedTokens::kStages, static_cast<uint32_t>(records.size())));
  for (const AddedTokenRecord& record : records) {
    if (record.id < 0 || record.id >= reader.header.vocabulary_size) {
      return broken("An added token lies outside of the vocabulary", {}, std::to_string(record.id));
    }
  }
  return AddedTokens(trie, records);
}

Status check_ids(const TablesHeader& header) {
  if (header.vocabulary_size <= 0 || header.max_word_characters < 0) {
    return broken("The tables have no vocabulary", {}, {});
  }
  for (const int32_t id : {header.unknown_id, header.cls_id, header.sep_id, header.pad_id}) {
    if (id < 0 || id >= header.vocabulary_size) {
      return broken("A special token lies outside of the vocabulary", {}, std::to_string(id));
    }
  }
  return {};
}

Status check_tokens(std::span<const uint32_t> offsets, size_t bytes, int32_t vocabulary_size) {
  bool ordered = offsets.size() == static_cast<size_t>(vocabulary_size) + 1;
  for (size_t i = 1; i < offsets.size(); ++i) ordered &= offsets[i - 1] <= offsets[i];
  if (!ordered || offsets.back() > bytes) return broken("The token texts are out of order", {}, {});
  return {};
}

/// What the character table says of one ASCII character, as a class of bytes.
void classify(TokenizerTables& tables, uint8_t byte) {
  const uint32_t entry = tables.characters.entry(byte);
  ByteClass& byte_class = tables.byte_class[byte];
  byte_class = ByteClass::other;
  tables.fold[byte] = byte;
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
  tables.characters.for_each_item(entry, [&](const ReplacementItem& item) {
    ++items;
    last = item;
  });
  if (items != 1 || last.combining_class != 0 || last.length != 1) return;
  if (last.kind == CharacterKind::space) byte_class = ByteClass::space;
  if (last.kind == CharacterKind::word) {
    byte_class = ByteClass::word;
    tables.fold[byte] = static_cast<uint8_t>(last.bytes[0]);
  }
}

void derive_ascii(TokenizerTables& tables) {
  tables.byte_class.fill(ByteClass::other);
  for (uint8_t byte = 0; byte < 128; ++byte) {
    classify(tables, byte);
    const char text = static_cast<char>(byte);
    const auto same = [](unsigned char b) { return b; };
    const auto match = tables.pieces.longest(TokenizerTables::kWordStart, &text, &text + 1, same);
    const bool known = match.value != Trie::kNone && tables.max_word_characters > 0;
    tables.punctuation_ids[byte] = known ? static_cast<int32_t>(match.value) : tables.unknown_id;
  }
}

}  // namespace

Result<TokenizerTables> TokenizerTables::open(std::span<const std::byte> block) {
  TILEWISE_ASSIGN_OR_RETURN(const BlockReader reader, BlockReader::open(block));
  const TablesHeader& header = reader.header;
  TILEWISE_RETURN_IF_ERROR(check_ids(header));
  TokenizerTables tables;
  tables.vocabulary_size = header.vocabulary_size;
  tables.max_word_characters = header.max_word_characters;
  tables.unknown_id = header.unknown_id;
  tables.cls_id = header.cls_id;
  tables.sep_id = header.sep_id;
  tables.pad_id = header.pad_id;
  TILEWISE_ASSIGN_OR_RETURN(tables.characters, open_characters(reader));
  TILEWISE_ASSIGN_OR_RETURN(const auto pieces, reader.section<TrieUnit>(kPieces));
  tables.pieces = Trie(pieces);
  TILEWISE_RETURN_IF_ERROR(
      tables.pieces.validate(kPieceRoots, static_cast<uint32_t>(header.vocabulary_size)));
  TILEWISE_ASSIGN_OR_RETURN(tables.added, open_added(reader));
  TILEWISE_ASSIGN_OR_RETURN(tables.token_offsets, reader.section<uint32_t>(kTokenOffsets));
  TILEWISE_ASSIGN_OR_RETURN(tables.token_bytes, reader.section<char>(kTokenBytes));
  TILEWISE_RETURN_IF_ERROR(
      check_tokens(tables.token_offsets, tables.token_bytes.size(), header.vocabulary_size));
  derive_ascii(tables);
  return tables;
}

std::string_view TokenizerTables::token(int32_t id) const {
  if (id < 0 || id >= vocabulary_size) return {};
  const uint32_t begin = token_offsets[static_cast<size_t>(id)];
  const uint32_t end = token_offsets[static_cast<size_t>(id) + 1];
  return {token_bytes.data() + begin, end - begin};
}

}  // namespace tilewise::text
