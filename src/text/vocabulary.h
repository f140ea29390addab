// Collects the token of each id and refuses what no vocabulary may hold.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/tokenizer_spec.h"

namespace tilewise::text {

/// Not thread-safe. `where` of each call names the file and place in errors.
class Vocabulary {
 public:
  /// Far above any vocabulary in use, and low enough that a hostile file cannot ask for much
  /// memory.
  static constexpr int64_t kMaxTokens = int64_t{1} << 21;
  static constexpr size_t kMaxBytes = size_t{16} << 20;

  /// A token that is given twice keeps its last id, as in a dictionary.
  /// Errors: invalid_input for an id out of range or one that another token has; unsupported when
  /// it grows too large.
  Status add(std::string_view token, int64_t id, const std::string& where);

  std::optional<int32_t> find(std::string_view token) const;
  /// nullptr for an id that no token has.
  const std::string* token_of(int64_t id) const;
  /// Number of different tokens.
  size_t size() const { return ids_.size(); }
  /// By id; ids without a token are empty.
  std::vector<std::string> take_tokens() && { return std::move(tokens_); }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::vector<std::string> tokens_;
  std::vector<bool> taken_;
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> ids_;
  size_t bytes_ = 0;
};

/// Checks the added tokens of `spec` against `vocabulary` and numbers them as Hugging Face does:
/// the id of the vocabulary, or the next one after it. Errors: invalid_input where the file says
/// another id, or names a token twice; unsupported for a token that vanishes when it is normalised.
Status check_added_tokens(const model::TokenizerSpec& spec, const Vocabulary& vocabulary,
                          const std::string& where);

/// The id of a token of the vocabulary or of an added token.
std::optional<int32_t> find_token(const model::TokenizerSpec& spec, const Vocabulary& vocabulary,
                                  std::string_view token);

/// The first of several that is there.
std::optional<int32_t> find_any(const model::TokenizerSpec& spec, const Vocabulary& vocabulary,
                                std::initializer_list<std::string_view> tokens);

/// Byte BPE knows every text. Its unknown token, where it has one, is a special token like others;
/// where it has none, the first of a sequence stands in for it.
void name_unknown(const Vocabulary& vocabulary, model::TokenizerSpec& spec);

}  // namespace tilewise::text
