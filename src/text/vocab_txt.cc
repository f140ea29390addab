// The tokenizer of a Hugging Face folder; and vocab.txt with tokenizer_config.json, for folders
// without tokenizer.json.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/mapped_file.h"
#include "text/json.h"
#include "text/tokenizer.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace tilewise::text {
namespace {

using model::AddedToken;
using model::TokenizerSpec;

constexpr std::array kTokenizerClasses = {"BertTokenizer", "BertTokenizerFast",
                                          "DistilBertTokenizer", "DistilBertTokenizerFast"};
/// The fields of tokenizer_config.json that name special tokens, with their defaults.
struct SpecialToken {
  const char* field;
  const char* content;
};
constexpr std::array<SpecialToken, 5> kSpecialTokens = {{{"pad_token", "[PAD]"},
                                                         {"unk_token", "[UNK]"},
                                                         {"cls_token", "[CLS]"},
                                                         {"sep_token", "[SEP]"},
                                                         {"mask_token", "[MASK]"}}};

Status cannot(std::string what, std::string where, std::string expected, std::string found) {
  return unsupported({.what = std::move(what),
                      .where = std::move(where),
                      .expected = std::move(expected),
                      .found = std::move(found),
                      .remedy = "save the tokenizer with save_pretrained() of its fast class, "
                                "which writes tokenizer.json"});
}

/// One token a line; its id is the number of the line.
Status read_lines(std::string_view text, const std::string& where, Vocabulary& vocabulary) {
  if (!is_valid_utf8(text)) {
    return invalid_input({.what = "The vocabulary is not UTF-8",
                          .where = where,
                          .expected = {},
                          .found = {},
                          .remedy = {}});
  }
  for (int64_t id = 0; !text.empty(); ++id) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    TILEWISE_RETURN_IF_ERROR(vocabulary.add(line, id, where));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

/// A special token is a string, or an object like those of tokenizer.json.
Result<AddedToken> read_special_token(const JsonObject& config, const SpecialToken& token) {
  AddedToken out;
  out.special = true;
  out.content = token.content;
  if (!config.has(token.field)) return out;
  simdjson::dom::object object;
  if (config.raw()[token.field].get(object) != simdjson::SUCCESS) {
    TILEWISE_ASSIGN_OR_RETURN(out.content, config.string(token.field));
    return out;
  }
  const JsonObject fields(object, config.place(token.field));
  TILEWISE_ASSIGN_OR_RETURN(out.content, fields.string("content"));
  TILEWISE_ASSIGN_OR_RETURN(out.normalized, fields.boolean_or("normalized", false));
  TILEWISE_ASSIGN_OR_RETURN(out.single_word, fields.boolean_or("single_word", false));
  TILEWISE_ASSIGN_OR_RETURN(out.left_strip, fields.boolean_or("lstrip", false));
  TILEWISE_ASSIGN_OR_RETURN(out.right_strip, fields.boolean_or("rstrip", false));
  return out;
}

Status read_special_tokens(const JsonObject& config, const Vocabulary& vocabulary,
                           TokenizerSpec& spec) {
  for (const SpecialToken& known : kSpecialTokens) {
    TILEWISE_ASSIGN_OR_RETURN(AddedToken token, read_special_token(config, known));
    const auto id = vocabulary.find(token.content);
    const std::string_view field = known.field;
    const bool needed = field == "unk_token" || field == "cls_token" || field == "sep_token";
    if (!id && needed) {
      return invalid_input({.what = "A special token is not in the vocabulary",
                            .where = config.place(field),
                            .expected = "a line of vocab.txt",
                            .found = "\"" + token.content + "\"",
                            .remedy = {}});
    }
    if (!id) continue;
    if (field == "pad_token") spec.pad_id = *id;
    if (field == "unk_token") spec.unknown_id = *id;
    if (field == "cls_token") spec.cls_id = *id;
    if (field == "sep_token") spec.sep_id = *id;
    token.id = *id;
    spec.added_tokens.push_back(std::move(token));
  }
  return {};
}

Status read_config(const JsonObject& config, const Vocabulary& vocabulary, TokenizerSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string name,
                            config.string_or("tokenizer_class", kTokenizerClasses[0]));
  if (std::ranges::find(kTokenizerClasses, name) == kTokenizerClasses.end()) {
    return cannot("The tokenizer is not BERT's", config.place("tokenizer_class"),
                  "BertTokenizer or DistilBertTokenizer", name);
  }
  TILEWISE_ASSIGN_OR_RETURN(const bool basic, config.boolean_or("do_basic_tokenize", true));
  if (!basic) {
    return cannot("Words without BERT's pre-tokenizer are not supported",
                  config.place("do_basic_tokenize"), "true", "false");
  }
  // Tokens beyond the five: only tokenizer.json says everything about them.
  for (const char* field : {"never_split", "additional_special_tokens"}) {
    if (!config.has(field)) continue;
    TILEWISE_ASSIGN_OR_RETURN(const auto list, config.array(field));
    if (list.size() != 0) {
      return cannot("Extra tokens are only read from tokenizer.json", config.place(field),
                    "an empty list", std::to_string(list.size()) + " tokens");
    }
  }
  TILEWISE_ASSIGN_OR_RETURN(spec.lower_case, config.boolean_or("do_lower_case", true));
  TILEWISE_ASSIGN_OR_RETURN(spec.strip_accents,
                            config.boolean_or("strip_accents", spec.lower_case));
  TILEWISE_ASSIGN_OR_RETURN(spec.separate_cjk, config.boolean_or("tokenize_chinese_chars", true));
  return read_special_tokens(config, vocabulary, spec);
}

Result<TokenizerSpec> parse_vocab_txt(std::string_view vocab, std::string_view config_json,
                                      const std::string& vocab_path,
                                      const std::string& config_path) {
  TokenizerSpec spec;
  Vocabulary vocabulary;
  TILEWISE_RETURN_IF_ERROR(read_lines(vocab, vocab_path, vocabulary));
  simdjson::dom::parser parser;
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject config,
                            parse_json_object(parser, config_json, config_path));
  TILEWISE_RETURN_IF_ERROR(read_config(config, vocabulary, spec));
  TILEWISE_RETURN_IF_ERROR(check_added_tokens(spec, vocabulary, config_path));
  spec.vocabulary = std::move(vocabulary).take_tokens();
  return spec;
}

bool is_missing(const Result<std::string>& file) {
  return !file.ok() && file.status().code() == StatusCode::not_found;
}

/// transformers writes "no limit" as an integer near 10^30, which no parser of JSON integers takes.
/// Nothing here depends on the limit, so the digits beyond the first 18 may go.
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

}  // namespace

Result<TokenizerSpec> read_tokenizer(const std::string& folder) {
  const std::string json_path = folder + "/tokenizer.json";
  const Result<std::string> json = read_file(json_path);
  if (json.ok()) return parse_tokenizer_json(*json, json_path);
  if (!is_missing(json)) return json.status();

  const std::string vocab_path = folder + "/vocab.txt";
  const Result<std::string> vocab = read_file(vocab_path);
  if (is_missing(vocab)) {
    return not_found({.what = "The folder has no tokenizer",
                      .where = folder,
                      .expected = "tokenizer.json or vocab.txt",
                      .found = "neither",
                      .remedy = {}});
  }
  if (!vocab.ok()) return vocab.status();
  const std::string extra_path = folder + "/added_tokens.json";
  if (const auto extra = read_file(extra_path); !is_missing(extra)) {
    return cannot("Extra tokens are only read from tokenizer.json", extra_path, "no such file", {});
  }
  const std::string config_path = folder + "/tokenizer_config.json";
  Result<std::string> config = read_file(config_path);
  if (!config.ok() && !is_missing(config)) return config.status();
  if (config.ok()) shorten_length_limit(*config);
  return parse_vocab_txt(*vocab, config.ok() ? std::string_view(*config) : "{}", vocab_path,
                         config_path);
}

}  // namespace tilewise::text
