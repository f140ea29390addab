// The tokenizer of a Hugging Face folder, by what lies in it.
#include <string>

#include "base/mapped_file.h"
#include "text/json.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"
#include "text/vocabulary_files.h"

namespace tilewise::text {
namespace {

using model::TokenizerSpec;

bool is_missing(const Result<std::string>& file) {
  return !file.ok() && file.status().code() == StatusCode::not_found;
}

/// An empty object where there is no such file. Errors: those of reading it; unsupported where
/// other files add tokens.
Result<std::string> read_config(const std::string& folder, const std::string& path) {
  const std::string extra_path = folder + "/added_tokens.json";
  if (const auto extra = read_file(extra_path); !is_missing(extra)) {
    return only_in_tokenizer_json("Extra tokens are only read from tokenizer.json", extra_path,
                                  "no such file", {});
  }
  Result<std::string> config = read_file(path);
  if (is_missing(config)) return std::string("{}");
  if (config.ok()) shorten_length_limit(*config);
  return config;
}

/// transformers gives an encoder the token types only where its tokenizer names them; else all of
/// them are 0.
Status apply_input_names(const std::string& path, TokenizerSpec& spec) {
  Result<std::string> text = read_file(path);
  if (is_missing(text)) return {};
  TILEWISE_RETURN_IF_ERROR(text.status());
  shorten_length_limit(*text);
  simdjson::dom::parser parser;
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject config, parse_json_object(parser, *text, path));
  constexpr const char* kKey = "model_input_names";
  if (!config.has(kKey)) return {};
  TILEWISE_ASSIGN_OR_RETURN(const auto names, config.array(kKey));
  for (const simdjson::dom::element name : names) {
    std::string_view value;
    if (name.get(value) == simdjson::SUCCESS && value == "token_type_ids") return {};
  }
  spec.second_type = 0;
  return {};
}

Result<TokenizerSpec> read_files(const std::string& folder, const std::string& config_path) {
  const std::string json_path = folder + "/tokenizer.json";
  const Result<std::string> json = read_file(json_path);
  if (json.ok()) return parse_tokenizer_json(*json, json_path);
  if (!is_missing(json)) return json.status();

  const std::string lines_path = folder + "/vocab.txt", vocab_path = folder + "/vocab.json";
  const Result<std::string> lines = read_file(lines_path);
  if (!is_missing(lines)) {
    TILEWISE_RETURN_IF_ERROR(lines.status());
    TILEWISE_ASSIGN_OR_RETURN(const std::string config, read_config(folder, config_path));
    return parse_vocab_txt({*lines, lines_path}, {config, config_path});
  }
  const Result<std::string> vocab = read_file(vocab_path);
  if (!is_missing(vocab)) {
    TILEWISE_RETURN_IF_ERROR(vocab.status());
    const std::string merges_path = folder + "/merges.txt";
    TILEWISE_ASSIGN_OR_RETURN(const std::string merges, read_file(merges_path));
    TILEWISE_ASSIGN_OR_RETURN(const std::string config, read_config(folder, config_path));
    return parse_vocab_json({*vocab, vocab_path}, {merges, merges_path}, {config, config_path});
  }
  return not_found({.what = "The folder has no tokenizer",
                    .where = folder,
                    .expected = "tokenizer.json, vocab.txt, or vocab.json with merges.txt",
                    .found = "none of them",
                    .remedy = {}});
}

}  // namespace

Result<TokenizerSpec> read_tokenizer(const std::string& folder) {
  const std::string config_path = folder + "/tokenizer_config.json";
  TILEWISE_ASSIGN_OR_RETURN(TokenizerSpec spec, read_files(folder, config_path));
  TILEWISE_RETURN_IF_ERROR(apply_input_names(config_path, spec));
  return spec;
}

}  // namespace tilewise::text
