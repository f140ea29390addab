// SentencePiece's normaliser (Kudo and Richardson 2018), as Hugging Face `tokenizers` applies it: a
// map from short texts to what takes their place. See TABLES.md.
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
#include "text/code_point_table.h"
#include "text/grapheme.h"
#include "text/trie.h"

namespace tilewise::text {

/// The map, used where it lies. A grapheme cluster that is short enough is replaced as a whole as
/// soon as a rule fits to its beginning; of other clusters each character by itself. Of the rules
/// that fit, the shortest counts. Immutable and thread-safe.
class PrecompiledMap {
 public:
  /// Of an entry of the table of code points: the class, and whether a rule fits to the character.
  static constexpr uint32_t kClassShift = 5, kClassBits = 5, kReplacedFlag = 1u << 10;
  /// Clusters of more bytes are replaced character by character.
  static constexpr size_t kLongestCluster = 5;

  PrecompiledMap() = default;
  /// The values of `rules` are offsets of a length (one byte) and that many bytes in `texts`.
  PrecompiledMap(CodePointTable characters, Trie rules, std::span<const uint8_t> texts);

  /// Whether each class is one and each rule leads to UTF-8 within the texts. The table and the
  /// trie are checked by themselves. Errors: invalid_input.
  Status validate() const;

  const CodePointTable& characters() const { return characters_; }

  /// Appends the normalised text. `text` must be valid UTF-8.
  void normalize(std::string_view text, std::string& out) const;

 private:
  struct Character;
  Character character_at(const char* p) const;
  const char* skip_plain(const char* p, const char* end) const;
  const char* put_cluster(const char* begin, const char* end, std::string& out) const;
  bool put_replacement(const char* begin, const char* end, std::string& out) const;

  CodePointTable characters_;
  Trie rules_;
  std::span<const uint8_t> texts_;
  std::array<bool, 256> is_plain_ = {};  ///< ASCII that stays, whatever ASCII is beside it
};

/// The parts of a map, before they are laid out.
struct PrecompiledMapParts {
  CodePointTableParts characters;
  std::vector<TrieUnit> rules;
  std::vector<uint8_t> texts;

  /// Valid as long as the parts.
  PrecompiledMap view() const;
};

/// No text that takes a place is longer than 255 bytes.
PrecompiledMapParts build_precompiled_map(const std::vector<model::Replacement>& rules);

/// The rules of a `precompiled_charsmap` in base64: a little-endian u32 with the bytes of a
/// double-array trie (darts-clone), the trie, and the texts that its values point at, each with a
/// NUL at its end. Of rules that begin alike only the shortest is read, and none that is longer
/// than a short cluster: no other can ever be applied. `where` names the place in errors. Errors:
/// invalid_input, and unsupported for a text of more than 255 bytes.
Result<std::vector<model::Replacement>> read_precompiled_map(std::string_view base64,
                                                             const std::string& where);

}  // namespace tilewise::text
