// A tokenizer as plain data: what tokenizer.json or vocab.txt say of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tilewise::model {

/// A token that is recognised in the text before it is split into words ("[SEP]"), see Hugging Face
/// `AddedToken`.
struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;
  bool normalized = false;   ///< matched in the normalised instead of in the raw text
  bool single_word = false;  ///< only where no word character touches it
  bool left_strip = false;   ///< swallows the white space before it
  bool right_strip = false;  ///< swallows the white space after it
  bool operator==(const AddedToken&) const = default;
};

enum class TokenizerModel {
  wordpiece,  ///< BERT's normalisation, greedy longest match (Wu et al. 2016)
  byte_bpe,   ///< byte pairs over bytes (Radford et al. 2019, "GPT-2"): RoBERTa, ModernBERT
  unigram,    ///< the most probable segmentation (Kudo 2018; SentencePiece): XLM-R
};

struct TokenizerSpec {
  TokenizerModel model = TokenizerModel::wordpiece;
  std::vector<std::string>
      vocabulary;  ///< token of each id; an id without a token is an empty string
  std::vector<AddedToken> added_tokens;

  // BERT normalisation (Hugging Face `BertNormalizer`).
  bool clean_text = true;
  bool separate_cjk = true;
  bool lower_case = true;
  bool strip_accents = true;

  // WordPiece (Wu et al. 2016), greedy longest match first.
  std::string continuation_prefix = "##";
  int32_t max_word_characters = 100;  ///< a longer word becomes one unknown token

  int32_t unknown_id = 0;
  int32_t cls_id = 0;
  int32_t sep_id = 0;
  int32_t pad_id = 0;
  /// Separators between the two texts of a pair: 2 in RoBERTa's `<s> left </s></s> right </s>`.
  int32_t pair_separators = 1;
  bool operator==(const TokenizerSpec&) const = default;
};

}  // namespace tilewise::model
