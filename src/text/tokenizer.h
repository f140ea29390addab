// Text to token ids, identical to Hugging Face `tokenizers`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/tokenizer_spec.h"

namespace tilewise::text {

/// Reads the tokenizer of a Hugging Face folder: tokenizer.json, or else vocab.txt, or vocab.json
/// and merges.txt, with tokenizer_config.json (where there is one), of which tokenizer.json needs
/// model_input_names alone. Padding and truncation that the file asks for are ignored: tasks say
/// what they need. Errors: not_found (none of the files),
/// invalid_input (broken file), unsupported (a part of the tokenizer that is not known here,
/// named).
Result<model::TokenizerSpec> read_tokenizer(const std::string& folder);

/// The same from the contents of a tokenizer.json; `where` names the file in errors.
Result<model::TokenizerSpec> parse_tokenizer_json(std::string_view json, const std::string& where);

/// The tables that a Tokenizer runs on, as one block of bytes without pointers: it is stored in the
/// artifact and used where it lies. Equal specs give equal bytes on every machine. The layout is
/// described in src/text/TABLES.md.
std::vector<std::byte> build_tables(const model::TokenizerSpec& spec);

/// Immutable and thread-safe. Copies share the tables.
class Tokenizer {
 public:
  /// Uses `tables` where they lie, 64-byte aligned; they must outlive the tokenizer and all its
  /// copies. Every offset is checked here, so that no text can make it read outside them. Errors:
  /// invalid_input.
  static Result<Tokenizer> open(std::span<const std::byte> tables);

  /// Appends the ids of `text` without the special tokens around it. Invalid UTF-8 becomes U+FFFD
  /// as in Python's decode(errors="replace"). Special tokens written in the text are recognised as
  /// Hugging Face does.
  void encode(std::string_view text, std::vector<int32_t>& ids) const;

  model::TokenizerModel model() const;
  int32_t cls_id() const;
  int32_t sep_id() const;
  int32_t pad_id() const;
  /// How many separators stand between the two texts of a pair.
  int32_t pair_separators() const;
  /// The token type of the second text of a pair and of the separator after it; all else is 0.
  int32_t second_type() const;
  /// Whether encoding puts a blank before a text, which decoding takes away again: a Unigram's "▁".
  bool prepends_blank() const;
  int32_t vocabulary_size() const;
  /// The token of an id; empty for an id that has none.
  std::string_view token(int32_t id) const;
  /// Whether an id stands for no text of its own: "[CLS]", "[SEP]", "[PAD]", the unknown token, and
  /// the added tokens that are found in raw text, as special ones are ("[MASK]").
  bool is_special(int32_t id) const;

 private:
  struct Tables;
  explicit Tokenizer(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {}
  std::shared_ptr<const Tables> tables_;
};

}  // namespace tilewise::text
