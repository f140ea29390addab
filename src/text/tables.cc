#include "text/tables.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "text/normalizer.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace tilewise::text {
namespace {

constexpr char kMagic[8] = {'T', 'W', 'T', 'E', 'X', 'T', '0', '1'};
constexpr size_t kAlignment = 64;

enum SectionIndex {
  kBlocks,
  kEntries,
  kRecords,
  kPieces,
  kAddedRecords,
  kAddedTrie,
  kTokenOffsets,
  kTokenBytes,
  kSections,
};

struct Section {
  uint64_t offset;
  uint64_t bytes;
};

/// Little-endian, like all of the block.
struct Header {
  char magic[8];
  uint64_t block_bytes;
  int32_t vocabulary_size;
  int32_t max_word_characters;
  int32_t unknown_id;
  int32_t cls_id;
  int32_t sep_id;
  int32_t pad_id;
  uint64_t reserved;
  Section sections[kSections];
};
static_assert(sizeof(Header) == 176);

// ---- building

class BlockWriter {
 public:
  BlockWriter() : block_(sizeof(Header)) {}

  template <class T>
  void add(SectionIndex index, const std::vector<T>& values) {
    block_.resize((block_.size() + kAlignment - 1) / kAlignment * kAlignment);
    const auto bytes = std::as_bytes(std::span(values));
    header.sections[index] = {block_.size(), bytes.size()};
    block_.insert(block_.end(), bytes.begin(), bytes.end());
  }

  std::vector<std::byte> finish() {
    header.block_bytes = block_.size();
    std::memcpy(block_.data(), &header, sizeof header);
    return std::move(block_);
  }

  Header header = {};

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
  std::memcpy(writer.header.magic, kMagic, sizeof kMagic);
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

// ---- opening

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
    if (reinterpret_cast<uintptr_t>(block.data()) % kAlignment != 0) {
      return broken("The tables are not aligned", "an address divisible by 64", {});
    }
    if (block.size() < sizeof(Header)) {
      return broken("The tables are shorter than their header",
                    std::to_string(sizeof(Header)) + " bytes", std::to_string(block.size()));
    }
    BlockReader reader(block);
    std::memcpy(&reader.header, block.data(), sizeof(Header));
    if (std::memcmp(reader.header.magic, kMagic, sizeof kMagic) != 0) {
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
    if (offset % kAlignment != 0 || bytes % sizeof(T) != 0 || offset > block_.size() ||
        bytes > block_.size() - offset) {
      return broken("A section does not lie within the tables", {},
                    "section " + std::to_string(index) + ": " + std::to_string(bytes) +
                        " bytes from " + std::to_string(offset));
    }
    return std::span(reinterpret_cast<const T*>(block_.data() + offset), bytes / sizeof(T));
  }

  Header header = {};

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

Status check_ids(const Header& header) {
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
  const Header& header = reader.header;
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
