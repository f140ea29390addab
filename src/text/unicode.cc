#include "text/unicode.h"

#include <algorithm>
#include <span>
#include <utility>

#include <utf8proc.h>

#include "text/unicode_differences.h"

namespace tilewise::text {
namespace {

utf8proc_category_t category(uint32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

template <class Range>
const Range* find(std::span<const Range> ranges, uint32_t c) {
  const auto it = std::ranges::lower_bound(ranges, c, {}, &Range::last);
  return it != ranges.end() && it->first <= c ? &*it : nullptr;
}

bool listed(std::span<const CodePointRange> ranges, uint32_t c) {
  return find(ranges, c) != nullptr;
}

bool is_ascii_symbol(uint32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

/// No character from here on has a canonical decomposition.
constexpr uint32_t kPastDecompositions = 0x30000;

bool is_hangul(uint32_t c) { return c >= 0xAC00 && c <= 0xD7A3; }

/// The one character that decomposed ones are put together to; 0 where there is none.
uint32_t composed(std::vector<uint32_t> parts) {
  const auto count =
      utf8proc_normalize_utf32(reinterpret_cast<utf8proc_int32_t*>(parts.data()),
                               static_cast<utf8proc_ssize_t>(parts.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  return count == 1 ? parts[0] : 0;
}

}  // namespace

bool is_control(uint32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_CC && kind <= UTF8PROC_CATEGORY_CO && !listed(kNotControl, c);
}

bool is_whitespace(uint32_t c) {
  const auto kind = category(c);
  return (c >= '\t' && c <= '\r') || c == 0x85 ||
         (kind >= UTF8PROC_CATEGORY_ZS && kind <= UTF8PROC_CATEGORY_ZP);
}

bool is_punctuation(uint32_t c) {
  if (is_ascii_symbol(c) || listed(kAlsoPunctuation, c)) return true;
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO &&
         !listed(kNotPunctuation, c);
}

bool is_cjk(uint32_t c) {
  static constexpr CodePointRange kBlocks[] = {
      {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
      {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F},
  };
  return listed(kBlocks, c);
}

bool is_nonspacing_mark(uint32_t c) {
  return (category(c) == UTF8PROC_CATEGORY_MN && !listed(kNotMark, c)) || listed(kAlsoMark, c);
}

bool is_word_character(uint32_t c) {
  const auto kind = category(c);
  return (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_NL) ||
         kind == UTF8PROC_CATEGORY_PC || listed(kAlsoWord, c);
}

bool is_letter(uint32_t c) {
  const auto kind = category(c);
  return (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO) || listed(kAlsoLetter, c);
}

bool is_number(uint32_t c) {
  const auto kind = category(c);
  return (kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO) || listed(kAlsoNumber, c);
}

uint8_t combining_class(uint32_t c) {
  if (listed(kStarter, c)) return 0;
  return static_cast<uint8_t>(
      utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class);
}

std::vector<uint32_t> decompose(uint32_t c) {
  if (listed(kNotDecomposed, c)) return {c};
  utf8proc_int32_t parts[16];  // the longest canonical decomposition has 4
  const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, 16,
                                             UTF8PROC_DECOMPOSE, nullptr);
  if (count <= 0 || count > 16) return {c};
  return {parts, parts + count};
}

std::vector<Composition> compositions() {
  std::vector<Composition> found;
  for (uint32_t c = 0; c < kPastDecompositions; ++c) {
    const std::vector<uint32_t> parts = decompose(c);
    if (parts.size() < 2 || is_hangul(c) || composed(parts) != c) continue;
    const uint32_t first = composed({parts.begin(), parts.end() - 1});
    found.push_back({first, parts.back(), c});
  }
  std::ranges::sort(found, {},
                    [](const Composition& item) { return std::pair(item.first, item.second); });
  return found;
}

std::vector<uint32_t> lower_case(uint32_t c) {
  if (const auto* range = find(std::span<const LowerCaseRange>(kLowerCase), c)) {
    const uint32_t lower = range->lower + (c - range->first);
    if (range->then == 0) return {lower};
    return {lower, range->then};
  }
  return {static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)))};
}

}  // namespace tilewise::text
