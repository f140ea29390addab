// From a TokenizerSpec to the tables of byte BPE.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/byte_alphabet.h"
#include "text/byte_bpe.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace tilewise::text {
namespace {

WordClass class_of(uint32_t c) {
  if (is_letter(c)) return WordClass::letter;
  if (is_number(c)) return WordClass::number;
  return is_whitespace(c) ? WordClass::space : WordClass::symbol;
}

/// What the tokens spell; nullopt for those with a character that stands for no byte.
std::vector<std::optional<std::string>> spelled(const std::vector<std::string>& vocabulary) {
  std::vector<std::optional<std::string>> all;
  all.reserve(vocabulary.size());
  for (const std::string& token : vocabulary) {
    all.push_back(token.empty() ? std::nullopt : spelled_bytes(token));
  }
  return all;
}

ByteBpeSettings make_settings(const model::TokenizerSpec& spec,
                              const std::vector<std::optional<std::string>>& tokens) {
  ByteBpeSettings settings = {};
  settings.flags = (spec.compose ? ByteBpeSettings::kCompose : 0u) |
                   (spec.add_prefix_space ? ByteBpeSettings::kPrefixSpace : 0u) |
                   (spec.fuse_unknown ? ByteBpeSettings::kFuseUnknown : 0u);
  settings.unknown_id = spec.unknown_byte_id;
  settings.byte_ids.fill(-1);
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (!tokens[id] || tokens[id]->size() != 1) continue;
    settings.byte_ids[static_cast<unsigned char>(tokens[id]->front())] = static_cast<int32_t>(id);
  }
  return settings;
}

/// Whether the word that a token spells becomes that token, by merges or because it is one.
class WholeWords {
 public:
  WholeWords(const model::TokenizerSpec& spec, const ByteBpeSettings& settings,
             const BytePairs& pairs)
      : spec_(spec), settings_(settings), merger_(pairs) {}

  bool is_one(const std::string& bytes, int32_t id) {
    if (!is_valid_utf8(bytes)) return false;  // a word ends between characters
    if (spec_.ignore_merges) return true;
    ids_.clear();
    for (const char byte : bytes) {
      ids_.push_back(settings_.byte_ids[static_cast<unsigned char>(byte)]);
    }
    if (std::ranges::find(ids_, -1) != ids_.end()) return false;
    return merger_.merge(ids_.data(), ids_.size()) == 1 && ids_.front() == id;
  }

 private:
  const model::TokenizerSpec& spec_;
  const ByteBpeSettings& settings_;
  PairMerger merger_;
  std::vector<int32_t> ids_;
};

std::vector<TrieUnit> build_whole_words(const std::vector<std::optional<std::string>>& tokens,
                                        WholeWords words) {
  std::vector<std::vector<TrieKey>> roots(1);
  for (uint32_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id] && words.is_one(*tokens[id], static_cast<int32_t>(id))) {
      roots[0].push_back({*tokens[id], id});
    }
  }
  return build_trie(std::move(roots));
}

/// Keeps what it needs, so that it outlives the spec.
class Composer {
 public:
  Composer(CodePointTableParts characters, NfcParts nfc)
      : characters_(std::move(characters)), nfc_(std::move(nfc)) {}

  std::string operator()(std::string_view text) const {
    Nfc::Buffer buffer;
    const CodePointTable characters(characters_.blocks, characters_.entries);
    return std::string(Nfc(characters, nfc_.records, nfc_.compositions).normalize(text, buffer));
  }

 private:
  CodePointTableParts characters_;
  NfcParts nfc_;
};

TextNormalizer add_characters(bool compose, BlockWriter& writer) {
  std::optional<NfcBuilder> nfc;
  if (compose) nfc.emplace();
  CodePointTableParts characters = build_code_point_table([&](uint32_t c) {
    return static_cast<uint32_t>(class_of(c)) | (nfc ? nfc->entry_bits(c) : 0u);
  });
  writer.add(kBlocks, characters.blocks);
  writer.add(kEntries, characters.entries);
  if (!nfc) return [](std::string_view text) { return std::string(text); };
  NfcParts parts = nfc->take_parts();
  writer.add(kRecords, parts.records);
  writer.add(ByteBpe::kCompositions, parts.compositions);
  return Composer(std::move(characters), std::move(parts));
}

}  // namespace

TextNormalizer add_byte_bpe(const model::TokenizerSpec& spec, BlockWriter& writer) {
  const auto tokens = spelled(spec.vocabulary);
  const ByteBpeSettings settings = make_settings(spec, tokens);
  const BytePairParts pairs(spec.merges);
  writer.header.model = kByteBpeTag;
  TextNormalizer normalizer = add_characters(spec.compose, writer);
  writer.add(kPieces, build_whole_words(tokens, WholeWords(spec, settings, pairs.table())));
  writer.add(kSettings, std::vector{settings});
  writer.add(ByteBpe::kPairSlots, pairs.slots);
  writer.add(ByteBpe::kMerged, pairs.merged);
  return normalizer;
}

}  // namespace tilewise::text
