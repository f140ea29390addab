#include "text/vocabulary.h"

#include <algorithm>
#include <set>
#include <utility>

#include "text/character_table.h"

namespace tilewise::text {
namespace {

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

}  // namespace

Status Vocabulary::add(std::string_view token, int64_t id, const std::string& where) {
  if (id < 0 || id >= kMaxTokens) {
    return invalid_input({.what = "The id of token " + quoted(token) + " is out of range",
                          .where = where,
                          .expected = "0 to " + std::to_string(kMaxTokens - 1),
                          .found = std::to_string(id),
                          .remedy = {}});
  }
  bytes_ += token.size();
  if (bytes_ > kMaxBytes) {
    return unsupported({.what = "The vocabulary is too large",
                        .where = where,
                        .expected = "at most " + std::to_string(kMaxBytes) + " bytes of tokens",
                        .found = "more",
                        .remedy = {}});
  }
  const auto index = static_cast<size_t>(id);
  if (index >= tokens_.size()) {
    tokens_.resize(index + 1);
    taken_.resize(index + 1);
  }
  if (taken_[index] && tokens_[index] != token) {
    return invalid_input(
        {.what = "Two tokens of the vocabulary have the same id",
         .where = where,
         .expected = "an id of its own for each token",
         .found = std::to_string(id) + " for " + quoted(tokens_[index]) + " and " + quoted(token),
         .remedy = {}});
  }
  const auto [it, is_new] = ids_.try_emplace(std::string(token), static_cast<int32_t>(id));
  if (!is_new && it->second != id) {
    const auto old = static_cast<size_t>(std::exchange(it->second, static_cast<int32_t>(id)));
    tokens_[old].clear();
    taken_[old] = false;
  }
  tokens_[index] = token;
  taken_[index] = true;
  return {};
}

std::optional<int32_t> Vocabulary::find(std::string_view token) const {
  const auto it = ids_.find(token);
  if (it == ids_.end()) return std::nullopt;
  return it->second;
}

const std::string* Vocabulary::token_of(int64_t id) const {
  const auto index = static_cast<size_t>(id);
  return id >= 0 && index < taken_.size() && taken_[index] ? &tokens_[index] : nullptr;
}

Status check_added_tokens(const model::TokenizerSpec& spec, const Vocabulary& vocabulary,
                          const std::string& where) {
  std::set<std::string_view> seen;
  auto next_id = static_cast<int64_t>(vocabulary.size());
  for (const model::AddedToken& token : spec.added_tokens) {
    const std::string place = where + ", added token " + quoted(token.content);
    if (!seen.insert(token.content).second) {
      return invalid_input({.what = "An added token is there twice",
                            .where = place,
                            .expected = "each token once",
                            .found = {},
                            .remedy = {}});
    }
    const std::optional<int32_t> known = vocabulary.find(token.content);
    const int64_t expected = known ? *known : next_id;
    if (token.id != expected) {
      return invalid_input(
          {.what = "An added token has the wrong id",
           .where = place,
           .expected = std::to_string(expected) +
                       (known ? ", its id in the vocabulary" : ", the next free id"),
           .found = std::to_string(token.id),
           .remedy = "save the tokenizer again with Hugging Face tokenizers"});
    }
    if (const std::string* other = vocabulary.token_of(token.id); !known && other) {
      return invalid_input({.what = "An added token has the id of a token of the vocabulary",
                            .where = place,
                            .expected = "an id of its own",
                            .found = std::to_string(token.id) + ", the id of " + quoted(*other),
                            .remedy = "number the vocabulary without holes"});
    }
    next_id = std::max<int64_t>(next_id, token.id + 1);
    const bool is_bert = spec.model == model::TokenizerModel::wordpiece;
    if (is_bert && token.normalized && vanishes(token.content, spec)) {
      return unsupported({.what = "An added token vanishes when it is normalised",
                          .where = place,
                          .expected = "at least one character that the normalizer keeps",
                          .found = {},
                          .remedy = {}});
    }
  }
  return {};
}

std::optional<int32_t> find_token(const model::TokenizerSpec& spec, const Vocabulary& vocabulary,
                                  std::string_view token) {
  if (const auto id = vocabulary.find(token)) return id;
  const auto it = std::ranges::find(spec.added_tokens, token, &model::AddedToken::content);
  if (it == spec.added_tokens.end()) return std::nullopt;
  return it->id;
}

std::optional<int32_t> find_any(const model::TokenizerSpec& spec, const Vocabulary& vocabulary,
                                std::initializer_list<std::string_view> tokens) {
  for (const std::string_view token : tokens) {
    if (const auto id = find_token(spec, vocabulary, token)) return id;
  }
  return std::nullopt;
}

void name_unknown(const Vocabulary& vocabulary, model::TokenizerSpec& spec) {
  spec.unknown_id = find_any(spec, vocabulary, {"<unk>", "[UNK]"}).value_or(spec.cls_id);
  if (spec.unknown_byte_id >= 0) spec.unknown_id = spec.unknown_byte_id;
}

}  // namespace tilewise::text
