#include "rows/repair.h"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace tilewise::rows {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// What may follow a lead byte (Unicode 15, table 3-7).
struct Continuation {
  int bytes;          // how many continuation bytes
  uint8_t low, high;  // range of the first of them; the others are 80..BF
};

std::optional<Continuation> continuation_of(uint8_t lead) {
  if (lead < 0x80) return Continuation{0, 0, 0};
  if (lead < 0xC2) return std::nullopt;
  if (lead < 0xE0) return Continuation{1, 0x80, 0xBF};
  if (lead < 0xF0) {
    const uint8_t low = lead == 0xE0 ? 0xA0 : 0x80;   // no overlong forms
    const uint8_t high = lead == 0xED ? 0x9F : 0xBF;  // no surrogates
    return Continuation{2, low, high};
  }
  if (lead < 0xF5) {
    const uint8_t low = lead == 0xF0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xF4 ? 0x8F : 0xBF;  // nothing above U+10FFFF
    return Continuation{3, low, high};
  }
  return std::nullopt;
}

constexpr size_t kEscapeSize = 6;  // \uXXXX

/// The code unit of the escape at `json[at]`; nullopt when there is none.
std::optional<uint32_t> code_unit(std::span<const char> json, size_t at) {
  if (at + kEscapeSize > json.size() || json[at] != '\\' || json[at + 1] != 'u')
    return std::nullopt;
  uint32_t unit = 0;
  for (size_t i = at + 2; i < at + kEscapeSize; ++i) {
    const char c = json[i];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return std::nullopt;
    unit = unit * 16 + static_cast<uint32_t>(digit);
  }
  return unit;
}

bool is_high_surrogate(uint32_t unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool is_low_surrogate(uint32_t unit) { return unit >= 0xDC00 && unit < 0xE000; }

}  // namespace

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size() + kReplacement.size());
  for (size_t i = 0; i < text.size();) {
    const size_t start = i;
    const auto rest = continuation_of(static_cast<uint8_t>(text[i++]));
    bool whole = rest.has_value();
    for (int k = 0; whole && k < rest->bytes; ++k) {
      const auto next = i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0};
      whole = next >= (k == 0 ? rest->low : 0x80) && next <= (k == 0 ? rest->high : 0xBF);
      if (whole) ++i;
    }
    out += whole ? text.substr(start, i - start) : kReplacement;
  }
  return out;
}

void replace_lone_surrogates(std::span<char> json) {
  auto next = std::find(json.begin(), json.end(), '\\');
  while (next != json.end()) {
    const auto at = static_cast<size_t>(next - json.begin());
    size_t size = 2;  // an escape that is not \u: the backslash and one character
    if (const auto unit = code_unit(json, at)) {
      size = kEscapeSize;
      const bool high = is_high_surrogate(*unit);
      const auto second = high ? code_unit(json, at + kEscapeSize) : std::nullopt;
      if (second && is_low_surrogate(*second)) {
        size = 2 * kEscapeSize;
      } else if (high || is_low_surrogate(*unit)) {
        std::copy_n("fffd", 4, json.begin() + static_cast<std::ptrdiff_t>(at) + 2);
      }
    }
    next = std::find(json.begin() + static_cast<std::ptrdiff_t>(std::min(at + size, json.size())),
                     json.end(), '\\');
  }
}

}  // namespace tilewise::rows
