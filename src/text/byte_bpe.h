// Byte pair encoding over bytes (Radford et al. 2019, "GPT-2"): RoBERTa's and ModernBERT's
// tokenizer.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/tokenizer_spec.h"
#include "text/byte_pairs.h"
#include "text/byte_words.h"
#include "text/nfc.h"
#include "text/tables_block.h"
#include "text/trie.h"

namespace tilewise::text {

/// The settings section, as it lies in the tables.
struct ByteBpeSettings {
  static constexpr uint32_t kCompose = 1, kPrefixSpace = 2, kFuseUnknown = 4;
  uint32_t flags;
  int32_t unknown_id;                 ///< of a byte without a token; -1: such bytes are dropped
  std::array<int32_t, 256> byte_ids;  ///< -1: the byte has no token
};
static_assert(sizeof(ByteBpeSettings) == 1032);

/// Its part of the opened tables. Immutable and thread-safe.
struct ByteBpe {
  class Encoder;
  static constexpr auto kModel = model::TokenizerModel::byte_bpe;
  /// Its sections after the settings.
  enum : int { kPairSlots = kOwnSections, kMerged, kCompositions };

  CodePointTable characters;
  ByteWords words;
  std::optional<Nfc> nfc;
  Trie whole_words;  ///< words that become one token
  BytePairs pairs;
  ByteBpeSettings settings = {};

  /// Errors: invalid_input, with what is broken.
  static Result<ByteBpe> open(const BlockReader& reader);

  const CodePointTable& code_points() const { return characters; }
  bool has(uint32_t flag) const { return (settings.flags & flag) != 0; }
};

/// One call of Tokenizer::encode(): appends the ids of the texts between added tokens. All texts
/// are valid UTF-8.
class ByteBpe::Encoder {
 public:
  Encoder(const ByteBpe& model, std::vector<int32_t>& ids)
      : model_(model), ids_(ids), merger_(model.pairs) {}

  void encode(std::string_view raw) { encode_normalized(normalized(raw)); }
  void encode_normalized(std::string_view text);
  /// Valid until the next call.
  std::string_view normalized(std::string_view raw) {
    return model_.nfc ? model_.nfc->normalize(raw, normalized_) : raw;
  }

 private:
  void encode_word(const char* begin, const char* end);
  void append_bytes(const char* begin, const char* end);

  const ByteBpe& model_;
  std::vector<int32_t>& ids_;
  PairMerger merger_;
  Nfc::Buffer normalized_;
  std::string prefixed_;
};

/// Writes the sections that ByteBpe::open() reads. Returns what normalises a text.
TextNormalizer add_byte_bpe(const model::TokenizerSpec& spec, BlockWriter& writer);

}  // namespace tilewise::text
