// UTF-8 (RFC 3629), one character at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tilewise::text {

inline constexpr uint32_t kReplacementCharacter = 0xFFFD;

/// A decoded character and the number of bytes that it took.
struct Decoded {
  uint32_t code_point;
  uint32_t length;
};

/// The character at `p`. The text must be valid UTF-8.
inline Decoded decode(const char* p) {
  const auto byte = [p](int i) { return static_cast<uint32_t>(static_cast<unsigned char>(p[i])); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F),
          4};
}

/// The last character of a valid, non-empty text.
inline uint32_t decode_last(std::string_view text) {
  size_t begin = text.size() - 1;
  while ((static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return decode(text.data() + begin).code_point;
}

/// Appends a Unicode scalar value.
void append_utf8(uint32_t code_point, std::string& out);

bool is_valid_utf8(std::string_view text);

/// Invalid bytes become U+FFFD, one for each maximal subpart of a well-formed sequence (Unicode
/// 15, 3.9, "best practices for using U+FFFD"): what Python's bytes.decode(errors="replace") gives.
std::string replace_invalid_utf8(std::string_view text);

}  // namespace tilewise::text
