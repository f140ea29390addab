#include "text/decoder.h"

#include <string_view>
#include <utility>

#include "text/byte_alphabet.h"
#include "text/utf8.h"

namespace tilewise::text {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

/// Hugging Face cleans token by token, in this order.
void clean_up(std::string& token) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
  };
  for (const auto& [from, to] : kRules) replace_all(token, from, to);
}

std::string decode_wordpiece(const Tokenizer& tokenizer, std::span<const int32_t> ids,
                             bool skip_special) {
  constexpr std::string_view kContinuation = "##";
  std::string text;
  std::string piece;
  bool is_first = true;
  for (const int32_t id : ids) {
    const std::string_view token = tokenizer.token(id);
    if (token.empty() || (skip_special && tokenizer.is_special(id))) continue;
    if (is_first) {
      piece = token;
    } else if (token.starts_with(kContinuation)) {
      piece = token.substr(kContinuation.size());
    } else {
      piece = ' ';
      piece += token;
    }
    is_first = false;
    clean_up(piece);
    text += piece;
  }
  return text;
}

/// A token that spells no bytes, as an added one may, is text itself.
std::string decode_bytes(const Tokenizer& tokenizer, std::span<const int32_t> ids,
                         bool skip_special) {
  std::string bytes;
  for (const int32_t id : ids) {
    if (skip_special && tokenizer.is_special(id)) continue;
    const std::string_view token = tokenizer.token(id);
    bytes += spelled_bytes(token).value_or(std::string(token));
  }
  return replace_invalid_utf8(bytes);
}

/// Each "▁" is a blank, but for those that encoding put before the first word.
std::string decode_metaspace(const Tokenizer& tokenizer, std::span<const int32_t> ids,
                             bool skip_special) {
  constexpr std::string_view kMetaspace = "\xE2\x96\x81";  // U+2581
  std::string text;
  bool is_first = true;
  for (const int32_t id : ids) {
    std::string piece(tokenizer.token(id));
    if (piece.empty() || (skip_special && tokenizer.is_special(id))) continue;
    replace_all(piece, kMetaspace, is_first && tokenizer.prepends_blank() ? "" : " ");
    text += piece;
    is_first = false;
  }
  return text;
}

}  // namespace

std::string decode(const Tokenizer& tokenizer, std::span<const int32_t> ids, bool skip_special) {
  switch (tokenizer.model()) {
    case model::TokenizerModel::byte_bpe:
      return decode_bytes(tokenizer, ids, skip_special);
    case model::TokenizerModel::unigram:
      return decode_metaspace(tokenizer, ids, skip_special);
    case model::TokenizerModel::wordpiece:
      break;
  }
  return decode_wordpiece(tokenizer, ids, skip_special);
}

}  // namespace tilewise::text
