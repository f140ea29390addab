// The merges of a byte BPE model, in any of the ways that files spell them.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "model/tokenizer_spec.h"
#include "text/vocabulary.h"

namespace tilewise::text {

/// Appends a merge to `spec`; `where` names its place in errors. Errors: invalid_input where the
/// two tokens or what they become are not in the vocabulary, or there are too many merges.
Status add_merge(std::string_view left, std::string_view right, const std::string& where,
                 const Vocabulary& vocabulary, model::TokenizerSpec& spec);

/// The same of a line: two tokens with a blank between them.
Status read_merge_line(std::string_view line, const std::string& where,
                       const Vocabulary& vocabulary, model::TokenizerSpec& spec);

Status bad_merge(const std::string& where, std::string expected, std::string found);

}  // namespace tilewise::text
