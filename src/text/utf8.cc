#include "text/utf8.h"

#include <simdjson.h>

namespace tilewise::text {
namespace {

/// The bytes that may follow a lead byte (Unicode 15, table 3-7). Only the second byte's range
/// depends on the lead.
struct SequenceForm {
  uint32_t length;  ///< 0: no sequence starts with this byte
  unsigned char second_low;
  unsigned char second_high;
};

SequenceForm form_of(unsigned char lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead < 0xC2) return {0, 0, 0};
  if (lead < 0xE0) return {2, 0x80, 0xBF};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};  // no surrogates
  if (lead < 0xF0) return {3, 0x80, 0xBF};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead < 0xF4) return {4, 0x80, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

/// The longest start of `text` that is a whole sequence or the beginning of one; `whole` says
/// which.
uint32_t sequence_length(std::string_view text, bool& whole) {
  const SequenceForm form = form_of(static_cast<unsigned char>(text[0]));
  whole = false;
  if (form.length == 0) return 1;
  uint32_t length = 1;
  for (; length < form.length && length < text.size(); ++length) {
    const auto byte = static_cast<unsigned char>(text[length]);
    const unsigned char low = length == 1 ? form.second_low : 0x80;
    const unsigned char high = length == 1 ? form.second_high : 0xBF;
    if (byte < low || byte > high) break;
  }
  whole = length == form.length;
  return length;
}

}  // namespace

void append_utf8(uint32_t c, std::string& out) {
  const auto push = [&out](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    push(c);
  } else if (c < 0x800) {
    push(0xC0 | c >> 6);
    push(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    push(0xE0 | c >> 12);
    push(0x80 | (c >> 6 & 0x3F));
    push(0x80 | (c & 0x3F));
  } else {
    push(0xF0 | c >> 18);
    push(0x80 | (c >> 12 & 0x3F));
    push(0x80 | (c >> 6 & 0x3F));
    push(0x80 | (c & 0x3F));
  }
}

bool is_valid_utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    bool whole = false;
    const uint32_t length = sequence_length(text, whole);
    if (whole) {
      out.append(text.substr(0, length));
    } else {
      append_utf8(kReplacementCharacter, out);
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace tilewise::text
