#include "text/byte_alphabet.h"

#include <array>

#include "text/utf8.h"

namespace tilewise::text {
namespace {

/// Bytes that are visible characters of Latin-1 stand for themselves, the others follow from U+0100
/// on, in order.
constexpr uint32_t kFirstOther = 0x100, kOthers = 68;

constexpr bool is_visible(uint32_t byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<uint16_t, 256> kCharacters = [] {
  std::array<uint16_t, 256> characters = {};
  uint32_t next = kFirstOther;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    characters[byte] = static_cast<uint16_t>(is_visible(byte) ? byte : next++);
  }
  return characters;
}();

constexpr std::array<uint8_t, kOthers> kOtherBytes = [] {
  std::array<uint8_t, kOthers> bytes = {};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    if (!is_visible(byte)) bytes[kCharacters[byte] - kFirstOther] = static_cast<uint8_t>(byte);
  }
  return bytes;
}();

}  // namespace

uint32_t character_of_byte(uint8_t byte) { return kCharacters[byte]; }

std::optional<std::string> spelled_bytes(std::string_view token) {
  std::string bytes;
  for (size_t i = 0; i < token.size();) {
    const auto [c, length] = decode(token.data() + i);
    i += length;
    if (c < kFirstOther && is_visible(c)) {
      bytes.push_back(static_cast<char>(c));
    } else if (c >= kFirstOther && c < kFirstOther + kOthers) {
      bytes.push_back(static_cast<char>(kOtherBytes[c - kFirstOther]));
    } else {
      return std::nullopt;
    }
  }
  return bytes;
}

}  // namespace tilewise::text
