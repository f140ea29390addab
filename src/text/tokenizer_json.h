// The parts of a tokenizer.json, each read into the spec by a function of its own. Errors of all:
// invalid_input for a broken file; unsupported, by name, for what is known but not done here.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "model/tokenizer_spec.h"
#include "text/json.h"
#include "text/vocabulary.h"

namespace tilewise::text {

/// Normalizer, pre-tokenizer and model of each kind of tokenizer.
Status read_wordpiece(const JsonObject& root, model::TokenizerSpec& spec, Vocabulary& vocabulary);

Status read_byte_bpe(const JsonObject& root, model::TokenizerSpec& spec, Vocabulary& vocabulary);

Status read_unigram(const JsonObject& root, model::TokenizerSpec& spec, Vocabulary& vocabulary);

/// No added token of a Unigram may vanish when it is normalised.
Status check_unigram_tokens(const model::TokenizerSpec& spec, const std::string& where);

Status read_added_tokens(const JsonObject& root, model::TokenizerSpec& spec);

/// What stands around a text and between the two of a pair.
Status read_post_processor(const JsonObject& root, model::TokenizerSpec& spec);

/// Token -> id, as WordPiece and BPE have it.
Status read_vocabulary(const JsonObject& tokens, Vocabulary& vocabulary);

/// For a model whose `unk_token` is no token.
Status unknown_token_missing(const JsonObject& model, const std::string& token);

/// The `type` of the object in a field; "nothing" where the field is missing or null.
Result<std::string> type_of(const JsonObject& parent, std::string_view field);

/// Refuses every type but one.
Status require_type(const JsonObject& parent, std::string_view field, const std::string& expected);

/// A part of the tokenizer that is not known here.
Status unknown_part(std::string where, std::string expected, std::string found);

}  // namespace tilewise::text
