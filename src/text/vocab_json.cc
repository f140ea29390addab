// vocab.json and merges.txt: RoBERTa's tokenizer, as RobertaTokenizer of transformers reads it.
#include <algorithm>
#include <string>
#include <utility>

#include "text/merges.h"
#include "text/tokenizer_config.h"
#include "text/tokenizer_json.h"
#include "text/vocabulary_files.h"

namespace tilewise::text {
namespace {

using model::TokenizerSpec;

constexpr SpecialTokenNames kRobertaTokens = {"<pad>", "<unk>", "<s>", "</s>", "<mask>"};

/// A merge a line, the best first; the version may stand before them.
Status read_merges(const NamedText& merges, const Vocabulary& vocabulary, TokenizerSpec& spec) {
  std::string_view text = merges.text;
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with("#version")) continue;
    const std::string where = merges.path + " line " + std::to_string(number);
    TILEWISE_RETURN_IF_ERROR(read_merge_line(line, where, vocabulary, spec));
  }
  return {};
}

Status read_config(const JsonObject& config, const Vocabulary& vocabulary, TokenizerSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string name,
                            config.string_or("tokenizer_class", "RobertaTokenizer"));
  if (name != "RobertaTokenizer" && name != "RobertaTokenizerFast") {
    return only_in_tokenizer_json("The tokenizer is not RoBERTa's", config.place("tokenizer_class"),
                                  "RobertaTokenizer", name);
  }
  TILEWISE_ASSIGN_OR_RETURN(spec.add_prefix_space, config.boolean_or("add_prefix_space", false));
  spec.pair_separators = 2;
  spec.second_type = 0;
  return read_special_tokens(config, kRobertaTokens, vocabulary, spec);
}

}  // namespace

Result<TokenizerSpec> parse_vocab_json(const NamedText& vocab, const NamedText& merges,
                                       const NamedText& config_json) {
  TokenizerSpec spec;
  spec.model = model::TokenizerModel::byte_bpe;
  Vocabulary vocabulary;
  simdjson::dom::parser vocab_parser, config_parser;
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject tokens,
                            parse_json_object(vocab_parser, vocab.text, vocab.path));
  TILEWISE_RETURN_IF_ERROR(read_vocabulary(tokens, vocabulary));
  TILEWISE_RETURN_IF_ERROR(read_merges(merges, vocabulary, spec));
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject config,
                            parse_json_object(config_parser, config_json.text, config_json.path));
  TILEWISE_RETURN_IF_ERROR(read_config(config, vocabulary, spec));
  TILEWISE_RETURN_IF_ERROR(check_added_tokens(spec, vocabulary, config_json.path));
  spec.vocabulary = std::move(vocabulary).take_tokens();
  return spec;
}

}  // namespace tilewise::text
