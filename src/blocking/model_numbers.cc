#include "blocking/model_numbers.h"

namespace tilewise::blocking {
namespace {

constexpr size_t kShortestMixed = 4, kShortestDigits = 6;
constexpr size_t kLongest = 40;  // a web address is none

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_letter(char c) { return is_upper(c) || (c >= 'a' && c <= 'z'); }
bool is_alphanumeric(char c) { return is_digit(c) || is_letter(c); }
bool is_joint(char c) { return c == '-' || c == '/' || c == '.' || c == '_'; }
char lower(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

/// `word` begins and ends with a letter or digit.
void append_if_number(std::string_view word, std::vector<std::string>& out) {
  std::string number;
  size_t digits = 0;
  for (const char c : word) {
    if (!is_alphanumeric(c)) continue;
    digits += is_digit(c) ? 1 : 0;
    number += lower(c);
  }
  if (digits == 0 || number.size() > kLongest) return;
  const bool mixed = digits < number.size();
  const bool quantity = word.find('.') != std::string_view::npos;
  if (mixed ? number.size() >= kShortestMixed : digits >= kShortestDigits && !quantity) {
    out.push_back(std::move(number));
  }
}

/// The end of the run of letters and digits at `begin`.
size_t end_of_part(std::string_view text, size_t begin) {
  while (begin < text.size() && is_alphanumeric(text[begin])) ++begin;
  return begin;
}

}  // namespace

void append_model_numbers(std::string_view text, std::vector<std::string>& out) {
  for (size_t begin = 0; begin < text.size();) {
    size_t end = end_of_part(text, begin);
    if (end == begin) {
      ++begin;
      continue;
    }
    const bool joined =
        end + 1 < text.size() && is_joint(text[end]) && is_alphanumeric(text[end + 1]);
    append_if_number(text.substr(begin, end - begin), out);
    if (!joined) {
      begin = end;
      continue;
    }
    while (end + 1 < text.size() && is_joint(text[end]) && is_alphanumeric(text[end + 1])) {
      const size_t part = end + 1;
      end = end_of_part(text, part);
      append_if_number(text.substr(part, end - part), out);
    }
    append_if_number(text.substr(begin, end - begin), out);
    begin = end;
  }
}

std::string normalized(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_alphanumeric(c) || static_cast<unsigned char>(c) >= 0x80) out += lower(c);
  }
  return out;
}

}  // namespace tilewise::blocking
