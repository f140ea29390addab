// The parts of BERT's tokenizer in a tokenizer.json.
#include <algorithm>
#include <limits>
#include <string>

#include "text/tokenizer_json.h"

namespace tilewise::text {
namespace {

using model::TokenizerSpec;

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

  TILEWISE_ASSIGN_OR_RETURN(const JsonObject tokens, model.object("vocab"));
  TILEWISE_RETURN_IF_ERROR(read_vocabulary(tokens, vocabulary));
  const auto unknown_id = vocabulary.find(unknown);
  if (!unknown_id) return unknown_token_missing(model, unknown);
  spec.unknown_id = *unknown_id;
  return {};
}

}  // namespace

Status read_wordpiece(const JsonObject& root, TokenizerSpec& spec, Vocabulary& vocabulary) {
  spec.model = model::TokenizerModel::wordpiece;
  TILEWISE_RETURN_IF_ERROR(read_normalizer(root, spec));
  TILEWISE_RETURN_IF_ERROR(require_type(root, "pre_tokenizer", "BertPreTokenizer"));
  return read_model(root, spec, vocabulary);
}

}  // namespace tilewise::text
