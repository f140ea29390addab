#include "text/nfc.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "text/tables_block.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace tilewise::text {
namespace {

// Hangul falls apart and comes together by arithmetic (Unicode 15, 3.12).
constexpr uint32_t kSyllables = 0xAC00, kLeads = 0x1100, kVowels = 0x1161, kTrails = 0x11A7;
constexpr uint32_t kLeadCount = 19, kVowelCount = 21, kTrailCount = 28;
constexpr uint32_t kSyllableCount = kLeadCount * kVowelCount * kTrailCount;

constexpr bool is_syllable(uint32_t c) { return c - kSyllables < kSyllableCount; }
/// A vowel or a trailing letter; kTrails itself stands for no letter.
constexpr bool joins_syllable(uint32_t c) {
  return c - kVowels < kVowelCount || c - (kTrails + 1) < kTrailCount - 1;
}

uint32_t compose_syllable(uint32_t first, uint32_t second) {
  if (first - kLeads < kLeadCount && second - kVowels < kVowelCount) {
    return kSyllables + ((first - kLeads) * kVowelCount + (second - kVowels)) * kTrailCount;
  }
  const bool is_open = is_syllable(first) && (first - kSyllables) % kTrailCount == 0;
  if (is_open && second - (kTrails + 1) < kTrailCount - 1) return first + (second - kTrails);
  return 0;
}

// A character and its combining class in one number.
constexpr uint32_t kClassShift = 24;
constexpr uint32_t class_of(uint32_t item) { return item >> kClassShift; }
constexpr uint32_t character_of(uint32_t item) { return item & ((1u << kClassShift) - 1); }

constexpr bool is_scalar_value(uint32_t c) {
  return c < kCodePoints && (c < 0xD800 || c >= 0xE000);
}

/// By class, equal ones as they stand. Runs are short but in hostile texts, and std::stable_sort
/// allocates for each.
void sort_marks(std::span<uint32_t> marks) {
  constexpr size_t kShort = 16;
  if (marks.size() <= kShort) {
    for (size_t i = 1; i < marks.size(); ++i) {
      const uint32_t mark = marks[i];
      size_t place = i;
      for (; place > 0 && class_of(marks[place - 1]) > class_of(mark); --place) {
        marks[place] = marks[place - 1];
      }
      marks[place] = mark;
    }
    return;
  }
  std::vector<uint64_t> keys(marks.size());  // class, place, character
  for (size_t i = 0; i < marks.size(); ++i) {
    keys[i] = uint64_t{class_of(marks[i])} << 56 | uint64_t{i} << 24 | character_of(marks[i]);
  }
  std::ranges::sort(keys);
  for (size_t i = 0; i < marks.size(); ++i) {
    marks[i] = static_cast<uint32_t>(keys[i] >> 56 << kClassShift) |
               character_of(static_cast<uint32_t>(keys[i]));
  }
}

/// Marks between two starters follow in the order of their classes.
void order_marks(std::vector<uint32_t>& items) {
  for (auto begin = items.begin(); begin != items.end();) {
    if (class_of(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end =
        std::find_if(begin, items.end(), [](uint32_t item) { return class_of(item) == 0; });
    sort_marks({begin, end});
    begin = end;
  }
}

Status broken(std::string found) {
  return broken_tables("The tables for Unicode's form C are broken", {}, std::move(found));
}

}  // namespace

Status Nfc::validate() const {
  for (const uint32_t entry : characters_.entries()) {
    const size_t record = entry >> kRecordShift;
    if (record == 0) continue;
    if (record >= records_.size() || records_[record] > records_.size() - record - 1) {
      return broken("a record past their end");
    }
    for (uint32_t i = 1; i <= records_[record]; ++i) {
      if (!is_scalar_value(character_of(records_[record + i]))) return broken("no character");
    }
  }
  for (const Composition& composition : compositions_) {
    if (!is_scalar_value(composition.composed)) return broken("no character");
  }
  return {};
}

/// From the last character before an unsettled one that is settled itself, to the next settled one;
/// the end of the text where there is none.
Nfc::Span Nfc::next_unsettled(std::string_view text, size_t from) const {
  size_t settled = from;
  bool found = false;
  for (size_t i = from; i < text.size();) {
    const auto [code_point, length] = decode(text.data() + i);
    const bool is_settled = code_point < 0x80 || (characters_.entry(code_point) & kUnsettled) == 0;
    if (is_settled && found) return {settled, i};
    if (is_settled) settled = i;
    found |= !is_settled;
    i += length;
  }
  return found ? Span{settled, text.size()} : Span{text.size(), text.size()};
}

std::string_view Nfc::normalize(std::string_view text, Buffer& buffer) const {
  Span span = next_unsettled(text, 0);
  if (span.begin == text.size()) return text;
  std::string& out = buffer.text;
  out.clear();
  size_t done = 0;
  for (; span.begin < text.size(); span = next_unsettled(text, done)) {
    out.append(text.substr(done, span.begin - done));
    append_normalized(text.substr(span.begin, span.end - span.begin), buffer);
    done = span.end;
  }
  out.append(text.substr(done));
  return out;
}

void Nfc::decompose(uint32_t c, std::vector<uint32_t>& out) const {
  if (is_syllable(c)) {
    const uint32_t index = c - kSyllables;
    out.push_back(kLeads + index / (kVowelCount * kTrailCount));
    out.push_back(kVowels + index / kTrailCount % kVowelCount);
    if (index % kTrailCount != 0) out.push_back(kTrails + index % kTrailCount);
    return;
  }
  const size_t record = characters_.entry(c) >> kRecordShift;
  if (record == 0) {
    out.push_back(c);
    return;
  }
  const auto items = records_.subspan(record + 1, records_[record]);
  out.insert(out.end(), items.begin(), items.end());
}

uint32_t Nfc::compose(uint32_t first, uint32_t second) const {
  if (const uint32_t syllable = compose_syllable(first, second); syllable != 0) return syllable;
  const auto it = std::ranges::lower_bound(
      compositions_, std::pair(first, second), {}, [](const Composition& composition) {
        return std::pair(composition.first, composition.second);
      });
  const bool found = it != compositions_.end() && it->first == first && it->second == second;
  return found ? it->composed : 0;
}

/// Takes the text apart, orders its marks, and puts together what is not blocked.
void Nfc::append_normalized(std::string_view text, Buffer& buffer) const {
  std::vector<uint32_t>& items = buffer.items;
  items.clear();
  for (size_t i = 0; i < text.size();) {
    const auto [code_point, length] = decode(text.data() + i);
    decompose(code_point, items);
    i += length;
  }
  order_marks(items);
  size_t kept = 0;
  size_t starter = items.size();  // the last one kept; none yet
  for (const uint32_t item : items) {
    const bool is_next = kept == starter + 1;
    const bool is_open = starter < kept && (is_next || class_of(items[kept - 1]) < class_of(item));
    const uint32_t composed =
        is_open ? compose(character_of(items[starter]), character_of(item)) : 0;
    if (composed != 0) {
      items[starter] = composed;
      continue;
    }
    if (class_of(item) == 0) starter = kept;
    items[kept++] = item;
  }
  items.resize(kept);
  for (const uint32_t item : items) append_utf8(character_of(item), buffer.text);
}

NfcBuilder::NfcBuilder() {
  parts_.records = {0};  // no record begins at 0
  parts_.compositions = compositions();
  for (const Composition& composition : parts_.compositions) {
    seconds_.push_back(composition.second);
  }
  std::ranges::sort(seconds_);
}

uint32_t NfcBuilder::entry_bits(uint32_t c) {
  if (is_syllable(c)) return 0;
  if (joins_syllable(c)) return Nfc::kUnsettled;
  const uint32_t joins = std::ranges::binary_search(seconds_, c) ? Nfc::kUnsettled : 0u;
  const std::vector<uint32_t> parts = text::decompose(c);
  if (parts.size() == 1 && parts[0] == c && combining_class(c) == 0) return joins;
  const bool is_composed = std::ranges::any_of(
      parts_.compositions, [c](const Composition& item) { return item.composed == c; });
  const auto record = static_cast<uint32_t>(parts_.records.size());
  parts_.records.push_back(static_cast<uint32_t>(parts.size()));
  for (const uint32_t part : parts) {
    parts_.records.push_back(uint32_t{combining_class(part)} << kClassShift | part);
  }
  return (is_composed ? joins : Nfc::kUnsettled) | record << Nfc::kRecordShift;
}

}  // namespace tilewise::text
