// Tokenizers of folders without tokenizer.json: the vocabulary's files with what
// tokenizer_config.json says of them.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "model/tokenizer_spec.h"

namespace tilewise::text {

/// The contents of a file and its path, for errors.
struct NamedText {
  std::string_view text;
  std::string path;
};

/// vocab.txt: WordPiece, a token a line.
Result<model::TokenizerSpec> parse_vocab_txt(const NamedText& vocabulary, const NamedText& config);

/// vocab.json and merges.txt: byte BPE.
Result<model::TokenizerSpec> parse_vocab_json(const NamedText& vocabulary, const NamedText& merges,
                                              const NamedText& config);

}  // namespace tilewise::text
