// tokenizer.json, as Hugging Face `tokenizers` writes it: what all kinds of tokenizers share.
#include "text/tokenizer_json.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace tilewise::text {
namespace {

using model::TokenizerSpec;

Status read_version(const JsonObject& root) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string version, root.string_or("version", "1.0"));
  if (version == "1.0") return {};
  return unsupported({.what = "The tokenizer has an unknown version",
                      .where = root.place("version"),
                      .expected = "1.0",
                      .found = version,
                      .remedy = {}});
}

/// Files of old versions say no type; their fields then decide.
Result<std::string> model_type(const JsonObject& root) {
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject model, root.object("model"));
  return model.string_or("type", model.has("merges") ? "BPE" : "WordPiece");
}

Status read_model(const JsonObject& root, TokenizerSpec& spec, Vocabulary& vocabulary) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string type, model_type(root));
  if (type == "WordPiece") return read_wordpiece(root, spec, vocabulary);
  if (type == "BPE") return read_byte_bpe(root, spec, vocabulary);
  if (type == "Unigram") return read_unigram(root, spec, vocabulary);
  return unknown_part(root.place("model"), "WordPiece, BPE or Unigram", type);
}

/// tilewise never pads; the id only tells which token would.
Status read_padding(const JsonObject& root, const Vocabulary& vocabulary, TokenizerSpec& spec) {
  if (const auto id = find_any(spec, vocabulary, {"[PAD]", "<pad>"})) {
    spec.pad_id = *id;
    return {};
  }
  if (!root.has("padding")) return {};
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject padding, root.object("padding"));
  TILEWISE_ASSIGN_OR_RETURN(const int64_t pad_id, padding.integer("pad_id"));
  spec.pad_id = static_cast<int32_t>(std::clamp<int64_t>(pad_id, 0, Vocabulary::kMaxTokens));
  return {};
}

/// Special tokens must be ids that exist.
Status check_special_ids(const TokenizerSpec& spec, const std::string& where) {
  int64_t size = static_cast<int64_t>(spec.vocabulary.size());
  for (const model::AddedToken& token : spec.added_tokens)
    size = std::max<int64_t>(size, token.id + 1);
  for (const int32_t id : {spec.cls_id, spec.sep_id, spec.pad_id}) {
    if (id < size) continue;
    return invalid_input({.what = "A special token is not in the vocabulary",
                          .where = where,
                          .expected = "an id below " + std::to_string(size),
                          .found = std::to_string(id),
                          .remedy = {}});
  }
  return {};
}

}  // namespace

Result<std::string> type_of(const JsonObject& parent, std::string_view field) {
  if (!parent.has(field)) return std::string("nothing");
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject object, parent.object(field));
  return object.string("type");
}

Status require_type(const JsonObject& parent, std::string_view field, const std::string& expected) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string found, type_of(parent, field));
  if (found == expected) return {};
  return unknown_part(parent.place(field), expected, found);
}

Status unknown_part(std::string where, std::string expected, std::string found) {
  return unsupported(
      {.what = "The tokenizer has a part that is not supported",
       .where = std::move(where),
       .expected = std::move(expected),
       .found = std::move(found),
       .remedy = "use a checkpoint with one of the tokenizers of docs/CHECKPOINTS.md"});
}

Status unknown_token_missing(const JsonObject& model, const std::string& token) {
  return invalid_input({.what = "The unknown token is not in the vocabulary",
                        .where = model.place("unk_token"),
                        .expected = "a token of model.vocab",
                        .found = "\"" + token + "\"",
                        .remedy = {}});
}

Status read_vocabulary(const JsonObject& tokens, Vocabulary& vocabulary) {
  for (const auto [token, value] : tokens.raw()) {
    int64_t id = 0;
    if (value.get(id) != simdjson::SUCCESS) {
      return invalid_input({.what = "The id of token \"" + std::string(token) + "\" is no integer",
                            .where = tokens.where(),
                            .expected = "an integer",
                            .found = {},
                            .remedy = {}});
    }
    TILEWISE_RETURN_IF_ERROR(vocabulary.add(token, id, tokens.where()));
  }
  return {};
}

Status read_added_tokens(const JsonObject& root, TokenizerSpec& spec) {
  if (!root.has("added_tokens")) return {};
  TILEWISE_ASSIGN_OR_RETURN(const auto tokens, root.objects("added_tokens"));
  for (const JsonObject& fields : tokens) {
    model::AddedToken token;
    TILEWISE_ASSIGN_OR_RETURN(const int64_t id, fields.integer("id"));
    TILEWISE_ASSIGN_OR_RETURN(token.content, fields.string("content"));
    TILEWISE_ASSIGN_OR_RETURN(token.special, fields.boolean("special"));
    TILEWISE_ASSIGN_OR_RETURN(token.normalized, fields.boolean("normalized"));
    TILEWISE_ASSIGN_OR_RETURN(token.single_word, fields.boolean("single_word"));
    TILEWISE_ASSIGN_OR_RETURN(token.left_strip, fields.boolean("lstrip"));
    TILEWISE_ASSIGN_OR_RETURN(token.right_strip, fields.boolean("rstrip"));
    if (id < 0 || id >= Vocabulary::kMaxTokens || token.content.empty()) {
      return invalid_input(
          {.what = "An added token is empty or has an id out of range",
           .where = fields.where(),
           .expected = "a text and an id from 0 to " + std::to_string(Vocabulary::kMaxTokens - 1),
           .found = "\"" + token.content + "\", " + std::to_string(id),
           .remedy = {}});
    }
    token.id = static_cast<int32_t>(id);
    spec.added_tokens.push_back(std::move(token));
  }
  return {};
}

Result<TokenizerSpec> parse_tokenizer_json(std::string_view json, const std::string& where) {
  simdjson::dom::parser parser;
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject root, parse_json_object(parser, json, where));
  TokenizerSpec spec;
  Vocabulary vocabulary;
  TILEWISE_RETURN_IF_ERROR(read_version(root));
  TILEWISE_RETURN_IF_ERROR(read_model(root, spec, vocabulary));
  TILEWISE_RETURN_IF_ERROR(read_added_tokens(root, spec));
  TILEWISE_RETURN_IF_ERROR(check_added_tokens(spec, vocabulary, where));
  TILEWISE_RETURN_IF_ERROR(check_unigram_tokens(spec, where));
  TILEWISE_RETURN_IF_ERROR(read_post_processor(root, spec));
  TILEWISE_RETURN_IF_ERROR(read_padding(root, vocabulary, spec));
  if (spec.model == model::TokenizerModel::byte_bpe) name_unknown(vocabulary, spec);
  spec.vocabulary = std::move(vocabulary).take_tokens();
  TILEWISE_RETURN_IF_ERROR(check_special_ids(spec, where));
  return spec;
}

}  // namespace tilewise::text
