// tokenizer.json, as Hugging Face `tokenizers` writes it.
#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "text/json.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace tilewise::text {
namespace {

using model::TokenizerSpec;

/// Refuses every value but one, by name.
Status require_type(const JsonObject& parent, std::string_view field, const std::string& expected) {
  const std::string where = parent.place(field);
  std::string found = "nothing";
  if (parent.has(field)) {
    TILEWISE_ASSIGN_OR_RETURN(const JsonObject object, parent.object(field));
    TILEWISE_ASSIGN_OR_RETURN(found, object.string("type"));
  }
  if (found == expected) return {};
  return unsupported({.what = "The tokenizer is not BERT's",
                      .where = where,
                      .expected = expected,
                      .found = found,
                      .remedy = "use a checkpoint with BERT's WordPiece tokenizer"});
}

Status read_version(const JsonObject& root) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string version, root.string_or("version", "1.0"));
  if (version == "1.0") return {};
  return unsupported({.what = "The tokenizer has an unknown version",
                      .where = root.place("version"),
                      .expected = "1.0",
                      .found = version,
                      .remedy = {}});
}

Status read_normalizer(const JsonObject& root, TokenizerSpec& spec) {
  TILEWISE_RETURN_IF_ERROR(require_type(root, "normalizer", "BertNormalizer"));
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject normalizer, root.object("normalizer"));
  TILEWISE_ASSIGN_OR_RETURN(spec.clean_text, normalizer.boolean("clean_text"));
  TILEWISE_ASSIGN_OR_RETURN(spec.separate_cjk, normalizer.boolean("handle_chinese_chars"));
  TILEWISE_ASSIGN_OR_RETURN(spec.lower_case, normalizer.boolean("lowercase"));
  TILEWISE_ASSIGN_OR_RETURN(spec.strip_accents,
                            normalizer.boolean_or("strip_accents", spec.lower_case));
  return {};
}

Status read_model(const JsonObject& root, TokenizerSpec& spec, Vocabulary& vocabulary) {
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject model, root.object("model"));
  // Files of old versions say no type; the fields below then decide.
  if (model.has("type")) TILEWISE_RETURN_IF_ERROR(require_type(root, "model", "WordPiece"));
  TILEWISE_ASSIGN_OR_RETURN(const std::string unknown, model.string("unk_token"));
  TILEWISE_ASSIGN_OR_RETURN(spec.continuation_prefix, model.string("continuing_subword_prefix"));
  TILEWISE_ASSIGN_OR_RETURN(const int64_t max, model.integer("max_input_chars_per_word"));
  if (max < 0) {
    return invalid_input({.what = "A length is negative",
                          .where = model.place("max_input_chars_per_word"),
                          .expected = "0 or more",
                          .found = std::to_string(max),
                          .remedy = {}});
  }
  spec.max_word_characters =
      static_cast<int32_t>(std::min<int64_t>(max, std::numeric_limits<int32_t>::max()));

  TILEWISE_ASSIGN_OR_RETURN(const JsonObject vocab, model.object("vocab"));
  for (const auto [token, value] : vocab.raw()) {
    int64_t id = 0;
    if (value.get(id) != simdjson::SUCCESS) {
      return invalid_input({.what = "The id of token \"" + std::string(token) + "\" is no integer",
                            .where = vocab.where(),
                            .expected = "an integer",
                            .found = {},
                            .remedy = {}});
    }
    TILEWISE_RETURN_IF_ERROR(vocabulary.add(token, id, vocab.where()));
  }
  const auto unknown_id = vocabulary.find(unknown);
  if (!unknown_id) {
    return invalid_input({.what = "The unknown token is not in the vocabulary",
                          .where = model.place("unk_token"),
                          .expected = "a token of model.vocab",
                          .found = "\"" + unknown + "\"",
                          .remedy = {}});
  }
  spec.unknown_id = *unknown_id;
  return {};
}

Status read_added_tokens(const JsonObject& root, TokenizerSpec& spec) {
  if (!root.has("added_tokens")) return {};
  TILEWISE_ASSIGN_OR_RETURN(const auto tokens, root.array("added_tokens"));
  for (const simdjson::dom::element element : tokens) {
    simdjson::dom::object object;
    const std::string where =
        root.place("added_tokens") + "[" + std::to_string(spec.added_tokens.size()) + "]";
    if (element.get(object) != simdjson::SUCCESS) {
      return invalid_input({.what = "An added token is no object",
                            .where = where,
                            .expected = "an object",
                            .found = {},
                            .remedy = {}});
    }
    const JsonObject fields(object, where);
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
           .where = where,
           .expected = "a text and an id from 0 to " + std::to_string(Vocabulary::kMaxTokens - 1),
           .found = "\"" + token.content + "\", " + std::to_string(id),
           .remedy = {}});
    }
    token.id = static_cast<int32_t>(id);
    spec.added_tokens.push_back(std::move(token));
  }
  return {};
}

/// One piece of a template in short: "[CLS]:0" or "A:0". Empty for what is neither.
std::string short_form(simdjson::dom::element piece) {
  for (const char* kind : {"SpecialToken", "Sequence"}) {
    simdjson::dom::object object;
    std::string_view id;
    int64_t type = 0;
    if (piece[kind].get(object) != simdjson::SUCCESS) continue;
    if (object["id"].get(id) != simdjson::SUCCESS) return {};
    if (object["type_id"].get(type) != simdjson::SUCCESS) return {};
    return std::string(id) + ":" + std::to_string(type);
  }
  return {};
}

Result<std::vector<std::string>> read_template(const JsonObject& processor, std::string_view name) {
  TILEWISE_ASSIGN_OR_RETURN(const auto pieces, processor.array(name));
  std::vector<std::string> out;
  for (const simdjson::dom::element piece : pieces) out.push_back(short_form(piece));
  return out;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : " ") + part;
  return text;
}

Result<int32_t> only_id_of(const JsonObject& processor, const std::string& token) {
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject tokens, processor.object("special_tokens"));
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject entry, tokens.object(token));
  TILEWISE_ASSIGN_OR_RETURN(const auto ids, entry.array("ids"));
  int64_t id = -1;
  if (ids.size() != 1 || ids.at(0).get(id) != simdjson::SUCCESS || id < 0 ||
      id >= Vocabulary::kMaxTokens) {
    return invalid_input({.what = "A special token does not stand for one id",
                          .where = entry.place("ids"),
                          .expected = "a list of one id",
                          .found = {},
                          .remedy = {}});
  }
  return static_cast<int32_t>(id);
}

/// [CLS] text [SEP] and [CLS] left [SEP] right [SEP] with types 0 and 1, whatever the two special
/// tokens are called.
Status read_template_processing(const JsonObject& processor, TokenizerSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(const auto single, read_template(processor, "single"));
  TILEWISE_ASSIGN_OR_RETURN(const auto pair, read_template(processor, "pair"));
  const auto name_of = [](const std::string& piece) { return piece.substr(0, piece.rfind(':')); };
  const std::string cls = single.size() == 3 ? name_of(single[0]) : "";
  const std::string sep = single.size() == 3 ? name_of(single[2]) : "";
  const std::vector<std::string> bert_single = {cls + ":0", "A:0", sep + ":0"};
  const std::vector<std::string> bert_pair = {cls + ":0", "A:0", sep + ":0", "B:1", sep + ":1"};
  if (cls.empty() || sep.empty() || single != bert_single || pair != bert_pair) {
    return unsupported({.what = "The template around the text is not BERT's",
                        .where = processor.where(),
                        .expected = "[CLS]:0 A:0 [SEP]:0 and [CLS]:0 A:0 [SEP]:0 B:1 [SEP]:1",
                        .found = joined(single) + " and " + joined(pair),
                        .remedy = {}});
  }
  TILEWISE_ASSIGN_OR_RETURN(spec.cls_id, only_id_of(processor, cls));
  TILEWISE_ASSIGN_OR_RETURN(spec.sep_id, only_id_of(processor, sep));
  return {};
}

/// ["[SEP]", 102]
Result<int32_t> read_token_and_id(const JsonObject& processor, std::string_view name) {
  TILEWISE_ASSIGN_OR_RETURN(const auto pair, processor.array(name));
  int64_t id = -1;
  if (pair.size() != 2 || pair.at(1).get(id) != simdjson::SUCCESS || id < 0 ||
      id >= Vocabulary::kMaxTokens) {
    return invalid_input({.what = "A special token has no id",
                          .where = processor.place(name),
                          .expected = "a token and its id",
                          .found = {},
                          .remedy = {}});
  }
  return static_cast<int32_t>(id);
}

Status read_post_processor(const JsonObject& root, TokenizerSpec& spec) {
  if (root.has("post_processor")) {
    TILEWISE_ASSIGN_OR_RETURN(const JsonObject processor, root.object("post_processor"));
    TILEWISE_ASSIGN_OR_RETURN(const std::string type, processor.string("type"));
    if (type == "BertProcessing") {
      TILEWISE_ASSIGN_OR_RETURN(spec.cls_id, read_token_and_id(processor, "cls"));
      TILEWISE_ASSIGN_OR_RETURN(spec.sep_id, read_token_and_id(processor, "sep"));
      return {};
    }
    if (type == "TemplateProcessing") return read_template_processing(processor, spec);
  }
  return require_type(root, "post_processor", "TemplateProcessing");
}

/// tilewise never pads; the id only tells which token would.
Status read_padding(const JsonObject& root, const Vocabulary& vocabulary, TokenizerSpec& spec) {
  if (const auto id = find_token(spec, vocabulary, "[PAD]")) {
    spec.pad_id = *id;
  } else if (root.has("padding")) {
    TILEWISE_ASSIGN_OR_RETURN(const JsonObject padding, root.object("padding"));
    TILEWISE_ASSIGN_OR_RETURN(const int64_t pad_id, padding.integer("pad_id"));
    spec.pad_id = static_cast<int32_t>(std::clamp<int64_t>(pad_id, 0, Vocabulary::kMaxTokens));
  }
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

Result<TokenizerSpec> parse_tokenizer_json(std::string_view json, const std::string& where) {
  simdjson::dom::parser parser;
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject root, parse_json_object(parser, json, where));
  TokenizerSpec spec;
  Vocabulary vocabulary;
  TILEWISE_RETURN_IF_ERROR(read_version(root));
  TILEWISE_RETURN_IF_ERROR(read_normalizer(root, spec));
  TILEWISE_RETURN_IF_ERROR(require_type(root, "pre_tokenizer", "BertPreTokenizer"));
  TILEWISE_RETURN_IF_ERROR(read_model(root, spec, vocabulary));
  TILEWISE_RETURN_IF_ERROR(read_added_tokens(root, spec));
  TILEWISE_RETURN_IF_ERROR(check_added_tokens(spec, vocabulary, where));
  TILEWISE_RETURN_IF_ERROR(read_post_processor(root, spec));
  TILEWISE_RETURN_IF_ERROR(read_padding(root, vocabulary, spec));
  spec.vocabulary = std::move(vocabulary).take_tokens();
  TILEWISE_RETURN_IF_ERROR(check_special_ids(spec, where));
  return spec;
}

}  // namespace tilewise::text
