// vocab.txt: BERT's tokenizer, and MPNet's in RoBERTa's frame.
#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>

#include "text/tokenizer_config.h"
#include "text/utf8.h"
#include "text/vocabulary_files.h"

namespace tilewise::text {
namespace {

using model::TokenizerSpec;

/// The tokenizer classes of transformers that read vocab.txt in this way.
struct WordPieceClass {
  std::string_view name;  ///< the fast class has "Fast" behind it
  SpecialTokenNames tokens;
  int32_t pair_separators;
  int32_t second_type;
};
constexpr SpecialTokenNames kBertTokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
constexpr std::array<WordPieceClass, 4> kClasses = {{
    {"BertTokenizer", kBertTokens, 1, 1},
    {"DistilBertTokenizer", kBertTokens, 1, 1},
    {"ElectraTokenizer", kBertTokens, 1, 1},
    {"MPNetTokenizer", {"<pad>", "[UNK]", "<s>", "</s>", "<mask>", true}, 2, 0},
}};

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

Result<WordPieceClass> class_of(const JsonObject& config) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string found,
                            config.string_or("tokenizer_class", std::string(kClasses[0].name)));
  std::string_view name = found;
  if (name.ends_with("Fast")) name.remove_suffix(4);
  const auto* const it = std::ranges::find(kClasses, name, &WordPieceClass::name);
  if (it != kClasses.end()) return *it;
  return only_in_tokenizer_json(
      "The tokenizer is not BERT's", config.place("tokenizer_class"),
      "BertTokenizer, DistilBertTokenizer, ElectraTokenizer or MPNetTokenizer", found);
}

Status read_config(const JsonObject& config, const Vocabulary& vocabulary, TokenizerSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(const WordPieceClass word_piece, class_of(config));
  spec.pair_separators = word_piece.pair_separators;
  spec.second_type = word_piece.second_type;
  TILEWISE_ASSIGN_OR_RETURN(const bool basic, config.boolean_or("do_basic_tokenize", true));
  if (!basic) {
    return only_in_tokenizer_json("Words without BERT's pre-tokenizer are not supported",
                                  config.place("do_basic_tokenize"), "true", "false");
  }
  TILEWISE_ASSIGN_OR_RETURN(spec.lower_case, config.boolean_or("do_lower_case", true));
  TILEWISE_ASSIGN_OR_RETURN(spec.strip_accents,
                            config.boolean_or("strip_accents", spec.lower_case));
  TILEWISE_ASSIGN_OR_RETURN(spec.separate_cjk, config.boolean_or("tokenize_chinese_chars", true));
  return read_special_tokens(config, word_piece.tokens, vocabulary, spec);
}

}  // namespace

Result<TokenizerSpec> parse_vocab_txt(const NamedText& vocab, const NamedText& config_json) {
  TokenizerSpec spec;
  Vocabulary vocabulary;
  TILEWISE_RETURN_IF_ERROR(read_lines(vocab.text, vocab.path, vocabulary));
  simdjson::dom::parser parser;
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject config,
                            parse_json_object(parser, config_json.text, config_json.path));
  TILEWISE_RETURN_IF_ERROR(read_config(config, vocabulary, spec));
  TILEWISE_RETURN_IF_ERROR(check_added_tokens(spec, vocabulary, config_json.path));
  spec.vocabulary = std::move(vocabulary).take_tokens();
  return spec;
}

}  // namespace tilewise::text
