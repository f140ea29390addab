// What must hold for the draft before the first pass and after each. Private to this folder.
#pragma once

#include <string>

#include "base/status.h"
#include "compile/draft.h"

namespace tilewise::compile {

/// The tokenizer's ids have rows in an embedding table of `vocab_size`, and its special tokens
/// exist.
Status check_tokenizer(const model::TokenizerSpec& tokenizer, int32_t vocab_size);

/// The model as it came: description in range, one head a task that needs one, adapter that fits,
/// then verify_weights. Errors: invalid_input.
Status verify_input(Draft& draft);

/// Every weight that the draft holds has its shape and is finite. `pass` is who is to blame.
/// Errors: invalid_input (not finite), internal (a shape).
Status verify_weights(Draft& draft, const std::string& pass);

}  // namespace tilewise::compile
