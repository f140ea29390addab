#include "text/byte_bpe.h"

#include <algorithm>

namespace tilewise::text {
namespace {

Result<ByteBpeSettings> open_settings(const BlockReader& reader) {
  TILEWISE_ASSIGN_OR_RETURN(const auto all, reader.section<ByteBpeSettings>(kSettings));
  if (all.size() != 1) {
    return broken_tables("The tables have no settings", "1", std::to_string(all.size()));
  }
  const int32_t size = reader.header.vocabulary_size;
  const auto outside = [size](int32_t id) { return id < -1 || id >= size; };
  const ByteBpeSettings& settings = all.front();
  if (outside(settings.unknown_id) || std::ranges::any_of(settings.byte_ids, outside)) {
    return broken_tables("The token of a byte lies outside of the vocabulary", {}, {});
  }
  return settings;
}

Result<CodePointTable> open_code_points(const BlockReader& reader) {
  TILEWISE_ASSIGN_OR_RETURN(const auto blocks, reader.section<uint16_t>(kBlocks));
  TILEWISE_ASSIGN_OR_RETURN(const auto entries, reader.section<uint32_t>(kEntries));
  const CodePointTable table(blocks, entries);
  TILEWISE_RETURN_IF_ERROR(table.validate());
  return table;
}

Result<Nfc> open_nfc(const BlockReader& reader, const CodePointTable& characters) {
  TILEWISE_ASSIGN_OR_RETURN(const auto records, reader.section<uint32_t>(kRecords));
  TILEWISE_ASSIGN_OR_RETURN(const auto compositions,
                            reader.section<Composition>(ByteBpe::kCompositions));
  const Nfc nfc(characters, records, compositions);
  TILEWISE_RETURN_IF_ERROR(nfc.validate());
  return nfc;
}

Result<BytePairs> open_pairs(const BlockReader& reader) {
  TILEWISE_ASSIGN_OR_RETURN(const auto slots, reader.section<uint64_t>(ByteBpe::kPairSlots));
  TILEWISE_ASSIGN_OR_RETURN(const auto merged, reader.section<uint32_t>(ByteBpe::kMerged));
  TILEWISE_RETURN_IF_ERROR(BytePairs::validate(slots, merged, reader.header.vocabulary_size));
  return BytePairs(slots, merged);
}

}  // namespace

Result<ByteBpe> ByteBpe::open(const BlockReader& reader) {
  ByteBpe model;
  TILEWISE_ASSIGN_OR_RETURN(model.settings, open_settings(reader));
  TILEWISE_ASSIGN_OR_RETURN(model.characters, open_code_points(reader));
  model.words = ByteWords(model.characters);
  if (model.has(ByteBpeSettings::kCompose)) {
    TILEWISE_ASSIGN_OR_RETURN(model.nfc, open_nfc(reader, model.characters));
  }
  TILEWISE_ASSIGN_OR_RETURN(const auto units, reader.section<TrieUnit>(kPieces));
  model.whole_words = Trie(units);
  TILEWISE_RETURN_IF_ERROR(
      model.whole_words.validate(1, static_cast<uint32_t>(reader.header.vocabulary_size)));
  TILEWISE_ASSIGN_OR_RETURN(model.pairs, open_pairs(reader));
  return model;
}

void ByteBpe::Encoder::encode_normalized(std::string_view text) {
  if (model_.has(ByteBpeSettings::kPrefixSpace) && !text.starts_with(' ')) {
    prefixed_.assign(1, ' ');
    prefixed_ += text;
    text = prefixed_;
  }
  const char* const end = text.data() + text.size();
  for (const char* p = text.data(); p != end;) {
    const char* const word_end = model_.words.end_of_word(p, end);
    encode_word(p, word_end);
    p = word_end;
  }
}

void ByteBpe::Encoder::encode_word(const char* begin, const char* end) {
  const auto same = [](unsigned char byte) { return byte; };
  const Trie::Match match = model_.whole_words.longest(0, begin, end, same);
  if (match.value != Trie::kNone && match.length == static_cast<size_t>(end - begin)) {
    ids_.push_back(static_cast<int32_t>(match.value));
    return;
  }
  const size_t before = ids_.size();
  append_bytes(begin, end);
  ids_.resize(before + merger_.merge(ids_.data() + before, ids_.size() - before));
}

void ByteBpe::Encoder::append_bytes(const char* begin, const char* end) {
  bool after_unknown = false;
  for (const char* p = begin; p != end; ++p) {
    const int32_t id = model_.settings.byte_ids[static_cast<unsigned char>(*p)];
    const bool is_unknown = id < 0 && model_.settings.unknown_id >= 0;
    const bool is_fused = after_unknown && model_.has(ByteBpeSettings::kFuseUnknown);
    if (id >= 0) ids_.push_back(id);
    if (is_unknown && !is_fused) ids_.push_back(model_.settings.unknown_id);
    after_unknown = is_unknown;
  }
}

}  // namespace tilewise::text
