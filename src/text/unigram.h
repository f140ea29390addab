// The most probable segmentation into pieces (Kudo 2018), as SentencePiece writes them for XLM-R:
// its normalisation, "▁" for blanks, and the best path through the pieces that fit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/tokenizer_spec.h"
#include "text/precompiled_map.h"
#include "text/tables_block.h"
#include "text/trie.h"

namespace tilewise::text {

/// The section kSettings of a Unigram.
struct UnigramSettings {
  static constexpr uint32_t kByteFallback = 1, kStripLeft = 2, kStripRight = 4, kBlanksToBlank = 8,
                            kBlanksToMetaspace = 16, kSplitWhitespace = 32, kPrependAlways = 64,
                            kPrependFirst = 128, kSplitMetaspace = 256;

  double unknown_score;  ///< of a character that is no piece
  uint32_t flags;
  uint32_t reserved;  ///< 0

  bool has(uint32_t flag) const { return (flags & flag) != 0; }
};
static_assert(sizeof(UnigramSettings) == 16);

/// Its part of the opened tables. Immutable and thread-safe.
struct Unigram {
  class Encoder;
  static constexpr auto kModel = model::TokenizerModel::unigram;

  /// Sections besides the shared ones; kRecords holds the texts of the map.
  static constexpr int kScores = kOwnSections, kRules = kOwnSections + 1;

  PrecompiledMap map;
  Trie pieces;                     ///< one root; values are ids
  std::span<const double> scores;  ///< by id
  UnigramSettings settings = {};
  int32_t unknown_id = 0;
  /// The piece of each byte ("<0x0A>"), -1 where there is none.
  std::array<int32_t, 256> byte_ids = {};

  /// Errors: invalid_input, with what is broken.
  static Result<Unigram> open(const BlockReader& reader);

  const CodePointTable& code_points() const { return map.characters(); }
  /// Whether words, or the first one, get a "▁" before them.
  bool prepends() const {
    return settings.has(UnigramSettings::kPrependAlways) ||
           settings.has(UnigramSettings::kPrependFirst);
  }
};

/// One call of Tokenizer::encode(): appends the ids of the texts between added tokens. All texts
/// are valid UTF-8. Its memory is used for every word again.
class Unigram::Encoder {
 public:
  Encoder(const Unigram& model, std::vector<int32_t>& ids)
      : model_(model), ids_(ids), ids_before_(ids.size()) {}

  void encode(std::string_view raw) { encode_normalized(normalized(raw)); }
  void encode_normalized(std::string_view text);
  /// Valid until the next call.
  const std::string& normalized(std::string_view raw);

 private:
  /// The end of the best path from the beginning of a text to one place in it.
  struct Step {
    double score = 0;     ///< of the whole path
    int32_t id = 0;       ///< of its last piece
    uint32_t length = 0;  ///< bytes of its last piece; 0: no path leads here
  };

  void strip();
  void shorten_blanks();
  bool is_prepended(std::string_view word) const;
  void encode_word(std::string_view word);
  void encode_part(std::string_view text);
  void find_best_path(std::string_view text);
  void append_best_path(std::string_view text);
  void append_unknown(std::string_view text);

  const Unigram& model_;
  std::vector<int32_t>& ids_;
  const size_t ids_before_;
  bool is_begun_ = false;
  const char* first_ = nullptr;  ///< the word here is the first of the text, nothing is before it
  std::string normalized_;
  std::string word_;  ///< with "▁" for blanks
  std::vector<Step> steps_;
};

/// What normalises a text. Slow to make: it holds a map of its own.
TextNormalizer unigram_normalizer(const model::UnigramSpec& spec);

/// Writes the sections that Unigram::open() reads. Returns what normalises a text.
TextNormalizer add_unigram(const model::TokenizerSpec& spec, BlockWriter& writer);

}  // namespace tilewise::text
