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

/// Two tokens that stand next to each other become one.
struct Merge {
  int32_t left = 0;
  int32_t right = 0;
  int32_t merged = 0;
  bool operator==(const Merge&) const = default;
};

/// Two texts, one of which takes the other's place.
struct Replacement {
  std::string from;
  std::string to;
  bool operator==(const Replacement&) const = default;
};

/// What two or more blanks in a row become.
enum class Blanks { kept, one_blank, one_metaspace };

/// Which words get a "▁" before them, unless they begin with one (Hugging Face `Metaspace`);
/// `first` only where neither split_whitespace nor strip_left is set.
enum class Prepend { always, first, never };

/// What only a Unigram has.
struct UnigramSpec {
  std::vector<double> scores;  ///< log probability of each piece, by id
  double unknown_score = 0;    ///< of a character that is no piece
  bool byte_fallback = false;  ///< such a character becomes the pieces of its bytes ("<0x0A>")

  // Normalisation, in this order. A rule applies to short grapheme clusters, and else to
  // characters; of two rules that fit the one with the shorter `from` counts.
  std::vector<Replacement> replacements;
  bool strip_left = false;  ///< white space
  bool strip_right = false;
  Blanks blanks = Blanks::kept;

  bool split_whitespace = false;  ///< into words, before "▁" takes the place of blanks
  Prepend prepend = Prepend::always;
  bool split_metaspace = true;  ///< before each "▁"; otherwise pieces go on across it
  bool operator==(const UnigramSpec&) const = default;
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

  // Byte BPE. The vocabulary spells each byte as one visible character.
  std::vector<Merge> merges;      ///< the one that was learned first comes first
  bool compose = false;           ///< the text is put into Unicode's form C (Hugging Face `NFC`)
  bool add_prefix_space = false;  ///< before each text that does not begin with a blank
  bool ignore_merges = false;     ///< a word that is a token becomes it, whatever the merges say
  int32_t unknown_byte_id = -1;   ///< for a byte that no token spells; -1: it is dropped
  bool fuse_unknown = false;      ///< one for all such bytes in a row

  UnigramSpec unigram;

  int32_t unknown_id = 0;
  int32_t cls_id = 0;
  int32_t sep_id = 0;
  int32_t pad_id = 0;
  /// Separators between the two texts of a pair: 2 in RoBERTa's `<s> left </s></s> right </s>`.
  int32_t pair_separators = 1;
  /// Token type of the second text of a pair and of the separator after it; all else has 0.
  int32_t second_type = 1;
  bool operator==(const TokenizerSpec&) const = default;
};

}  // namespace tilewise::model
