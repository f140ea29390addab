#include "text/tokenizer_config.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace tilewise::text {
namespace {

using model::AddedToken;
using model::TokenizerSpec;

Status read_flags(const JsonObject& fields, AddedToken& token) {
  TILEWISE_ASSIGN_OR_RETURN(token.content, fields.string("content"));
  TILEWISE_ASSIGN_OR_RETURN(token.normalized, fields.boolean_or("normalized", false));
  TILEWISE_ASSIGN_OR_RETURN(token.single_word, fields.boolean_or("single_word", false));
  TILEWISE_ASSIGN_OR_RETURN(token.left_strip, fields.boolean_or("lstrip", false));
  TILEWISE_ASSIGN_OR_RETURN(token.right_strip, fields.boolean_or("rstrip", false));
  return {};
}

/// A special token is a string, or an object like those of tokenizer.json.
Result<AddedToken> read_special_token(const JsonObject& config, const char* field,
                                      AddedToken token) {
  token.special = true;
  if (!config.has(field)) return token;
  simdjson::dom::object object;
  if (config.raw()[field].get(object) != simdjson::SUCCESS) {
    TILEWISE_ASSIGN_OR_RETURN(token.content, config.string(field));
    return token;
  }
  TILEWISE_RETURN_IF_ERROR(read_flags(JsonObject(object, config.place(field)), token));
  return token;
}

/// The five, and what else they may be: newer files describe all added tokens a second time.
class SpecialTokenReader {
 public:
  SpecialTokenReader(const JsonObject& config, const Vocabulary& vocabulary, TokenizerSpec& spec)
      : config_(config), vocabulary_(vocabulary), spec_(spec) {}

  Status read(const char* field, AddedToken fallback, bool is_needed, int32_t& id) {
    TILEWISE_ASSIGN_OR_RETURN(AddedToken token,
                              read_special_token(config_, field, std::move(fallback)));
    const auto known = vocabulary_.find(token.content);
    if (!known && is_needed) {
      return invalid_input({.what = "A special token is not in the vocabulary",
                            .where = config_.place(field),
                            .expected = "a token of the vocabulary's file",
                            .found = "\"" + token.content + "\"",
                            .remedy = {}});
    }
    if (!known) return {};
    token.id = id = *known;
    const auto same = [&](const AddedToken& other) { return other.content == token.content; };
    if (std::ranges::none_of(spec_.added_tokens, same)) {
      spec_.added_tokens.push_back(std::move(token));
    }
    return {};
  }

  Status read_descriptions() {
    if (!config_.has("added_tokens_decoder")) return {};
    TILEWISE_ASSIGN_OR_RETURN(const JsonObject all, config_.object("added_tokens_decoder"));
    std::set<std::string, std::less<>> contents;
    for (const auto [id, value] : all.raw()) {
      simdjson::dom::object object;
      if (value.get(object) != simdjson::SUCCESS) return all.object(id).status();
      const JsonObject fields(object, all.place(id));
      AddedToken described;
      TILEWISE_RETURN_IF_ERROR(read_flags(fields, described));
      if (!contents.insert(described.content).second) {
        return invalid_input({.what = "An added token is described twice",
                              .where = fields.where(),
                              .expected = "each token once",
                              .found = "\"" + described.content + "\"",
                              .remedy = {}});
      }
      const auto it =
          std::ranges::find(spec_.added_tokens, described.content, &AddedToken::content);
      if (it == spec_.added_tokens.end()) {
        return only_in_tokenizer_json("Extra tokens are only read from tokenizer.json",
                                      fields.where(), "one of the special tokens",
                                      "\"" + described.content + "\"");
      }
      described.id = it->id;
      described.special = true;
      *it = std::move(described);
    }
    return {};
  }

 private:
  const JsonObject& config_;
  const Vocabulary& vocabulary_;
  TokenizerSpec& spec_;
};

/// Lists of tokens beyond the five.
Status refuse_extra_tokens(const JsonObject& config) {
  for (const char* field : {"never_split", "additional_special_tokens"}) {
    if (!config.has(field)) continue;
    TILEWISE_ASSIGN_OR_RETURN(const auto list, config.array(field));
    if (list.size() != 0) {
      return only_in_tokenizer_json("Extra tokens are only read from tokenizer.json",
                                    config.place(field), "an empty list",
                                    std::to_string(list.size()) + " tokens");
    }
  }
  return {};
}

}  // namespace

Status read_special_tokens(const JsonObject& config, const SpecialTokenNames& names,
                           const Vocabulary& vocabulary, TokenizerSpec& spec) {
  TILEWISE_RETURN_IF_ERROR(refuse_extra_tokens(config));
  SpecialTokenReader reader(config, vocabulary, spec);
  const auto named = [](const char* content) {
    AddedToken token;
    token.content = content;
    return token;
  };
  AddedToken mask = named(names.mask);
  mask.left_strip = names.mask_left_strip;
  const bool is_wordpiece = spec.model == model::TokenizerModel::wordpiece;
  int32_t mask_id = 0;
  int32_t unknown_id = -1;
  TILEWISE_RETURN_IF_ERROR(reader.read("pad_token", named(names.pad), false, spec.pad_id));
  TILEWISE_RETURN_IF_ERROR(
      reader.read("unk_token", named(names.unknown), is_wordpiece, unknown_id));
  TILEWISE_RETURN_IF_ERROR(reader.read("cls_token", named(names.cls), true, spec.cls_id));
  TILEWISE_RETURN_IF_ERROR(reader.read("sep_token", named(names.sep), true, spec.sep_id));
  TILEWISE_RETURN_IF_ERROR(reader.read("mask_token", std::move(mask), false, mask_id));
  spec.unknown_id = unknown_id >= 0 ? unknown_id : spec.cls_id;
  return reader.read_descriptions();
}

Status only_in_tokenizer_json(std::string what, std::string where, std::string expected,
                              std::string found) {
  return unsupported({.what = std::move(what),
                      .where = std::move(where),
                      .expected = std::move(expected),
                      .found = std::move(found),
                      .remedy = "save the tokenizer with save_pretrained() of its fast class, "
                                "which writes tokenizer.json"});
}

void shorten_length_limit(std::string& config) {
  constexpr std::string_view kKey = "\"model_max_length\"";
  constexpr size_t kKeptDigits = 18;
  const size_t key = config.find(kKey);
  if (key == std::string::npos) return;
  const size_t first = config.find_first_not_of(" \t\r\n:", key + kKey.size());
  if (first == std::string::npos) return;
  const size_t end = std::min(config.find_first_not_of("0123456789", first), config.size());
  if (end > first + kKeptDigits) config.erase(first + kKeptDigits, end - first - kKeptDigits);
}

}  // namespace tilewise::text
