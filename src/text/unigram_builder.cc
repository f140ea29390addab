// From a TokenizerSpec to the tables of a Unigram.
#include <string>
#include <utility>
#include <vector>

#include "text/unigram.h"

namespace tilewise::text {
namespace {

std::vector<TrieUnit> build_pieces(const model::TokenizerSpec& spec) {
  std::vector<std::vector<TrieKey>> roots(1);
  for (uint32_t id = 0; id < spec.vocabulary.size(); ++id) {
    if (!spec.vocabulary[id].empty()) roots[0].push_back({spec.vocabulary[id], id});
  }
  return build_trie(std::move(roots));
}

uint32_t flags_of(const model::UnigramSpec& spec) {
  uint32_t flags = 0;
  const auto set = [&flags](bool is_set, uint32_t flag) { flags |= is_set ? flag : 0; };
  set(spec.byte_fallback, UnigramSettings::kByteFallback);
  set(spec.strip_left, UnigramSettings::kStripLeft);
  set(spec.strip_right, UnigramSettings::kStripRight);
  set(spec.blanks == model::Blanks::one_blank, UnigramSettings::kBlanksToBlank);
  set(spec.blanks == model::Blanks::one_metaspace, UnigramSettings::kBlanksToMetaspace);
  set(spec.split_whitespace, UnigramSettings::kSplitWhitespace);
  set(spec.prepend == model::Prepend::always, UnigramSettings::kPrependAlways);
  set(spec.prepend == model::Prepend::first, UnigramSettings::kPrependFirst);
  set(spec.split_metaspace, UnigramSettings::kSplitMetaspace);
  return flags;
}

UnigramSettings settings_of(const model::UnigramSpec& spec) {
  return {spec.unknown_score, flags_of(spec), 0};
}

TextNormalizer normalizer_of(PrecompiledMapParts parts, UnigramSettings settings) {
  return [parts = std::move(parts), settings](std::string_view text) {
    Unigram model;
    model.map = parts.view();
    model.settings = settings;
    std::vector<int32_t> ids;
    return Unigram::Encoder(model, ids).normalized(text);
  };
}

}  // namespace

TextNormalizer unigram_normalizer(const model::UnigramSpec& spec) {
  return normalizer_of(build_precompiled_map(spec.replacements), settings_of(spec));
}

TextNormalizer add_unigram(const model::TokenizerSpec& spec, BlockWriter& writer) {
  PrecompiledMapParts parts = build_precompiled_map(spec.unigram.replacements);
  const UnigramSettings settings = settings_of(spec.unigram);
  writer.header.model = kUnigramTag;
  writer.add(kBlocks, parts.characters.blocks);
  writer.add(kEntries, parts.characters.entries);
  writer.add(kRecords, parts.texts);
  writer.add(kPieces, build_pieces(spec));
  writer.add(kSettings, std::vector{settings});
  writer.add(Unigram::kScores, spec.unigram.scores);
  writer.add(Unigram::kRules, parts.rules);
  return normalizer_of(std::move(parts), settings);
}

}  // namespace tilewise::text
