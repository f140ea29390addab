// How byte BPE spells bytes in its vocabulary: each as one visible character (Radford et al. 2019,
// "GPT-2"), a blank as U+0120.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tilewise::text {

/// The character that stands for a byte.
uint32_t character_of_byte(uint8_t byte);

/// The bytes that a token (valid UTF-8) spells; nullopt where a character stands for none.
std::optional<std::string> spelled_bytes(std::string_view token);

}  // namespace tilewise::text
