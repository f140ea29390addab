// tokenizer_config.json, which says of a vocabulary's file what tokenizer.json would say itself.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/status.h"
#include "model/tokenizer_spec.h"
#include "text/json.h"
#include "text/vocabulary.h"

namespace tilewise::text {

/// What a class of tokenizers in transformers calls its special tokens, unless the file says
/// otherwise.
struct SpecialTokenNames {
  const char* pad;
  const char* unknown;
  const char* cls;
  const char* sep;
  const char* mask;
  bool mask_left_strip = false;  ///< the mask swallows the white space before it
};

/// Finds the special tokens in the vocabulary and appends them to the spec's added ones. The ids of
/// `cls` and `sep` must be there, that of `unknown` in WordPiece. Errors: invalid_input;
/// unsupported for tokens beyond the five, which only tokenizer.json describes in full.
Status read_special_tokens(const JsonObject& config, const SpecialTokenNames& names,
                           const Vocabulary& vocabulary, model::TokenizerSpec& spec);

/// unsupported, with the advice to save a tokenizer.json.
Status only_in_tokenizer_json(std::string what, std::string where, std::string expected,
                              std::string found);

/// transformers writes "no limit" as an integer near 10^30, which no parser of JSON integers takes.
/// Nothing here depends on the limit, so the digits beyond the first 18 may go.
void shorten_length_limit(std::string& config);

}  // namespace tilewise::text
