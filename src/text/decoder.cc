#include "text/decoder.h"

#include <string_view>
#include <utility>

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

}  // namespace

std::string decode(const Tokenizer& tokenizer, std::span<const int32_t> ids, bool skip_special) {
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

}  // namespace tilewise::text
