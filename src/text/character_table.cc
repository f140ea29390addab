#include "text/character_table.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "text/tables_block.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace tilewise::text {
namespace {

constexpr uint32_t kHangulFirst = 0xAC00;
constexpr uint32_t kHangulLast = 0xD7A3;

struct Item {
  CharacterKind kind;
  uint8_t combining_class;
  uint32_t code_point;
};

CharacterKind kind_in_text(uint32_t c) {
  if (is_whitespace(c)) return CharacterKind::space;
  if (is_punctuation(c)) return CharacterKind::punctuation;
  return CharacterKind::word;
}

/// The normaliser's steps in its order: clean, separate ideographs, strip accents, lower-case.
std::vector<Item> normalize(uint32_t c, const model::TokenizerSpec& spec) {
  if (spec.clean_text) {
    if (c == 0 || c == kReplacementCharacter || is_control(c)) return {};
    if (is_whitespace(c)) return {{CharacterKind::space, 0, ' '}};
  }
  const bool ideograph = spec.separate_cjk && is_cjk(c);
  std::vector<Item> items;
  for (const uint32_t part : spec.strip_accents ? decompose(c) : std::vector<uint32_t>{c}) {
    // Marks are put into their canonical order as a part of decomposition, so only where that
    // happens.
    const uint8_t mark_class = spec.strip_accents ? combining_class(part) : uint8_t{0};
    if (spec.strip_accents && is_nonspacing_mark(part)) {
      if (mark_class == 0) items.push_back({CharacterKind::dropped, 0, 0});
      continue;
    }
    for (const uint32_t d : spec.lower_case ? lower_case(part) : std::vector<uint32_t>{part}) {
      items.push_back({ideograph ? CharacterKind::ideograph : kind_in_text(d), mark_class, d});
    }
  }
  return items;
}

class TableBuilder {
 public:
  explicit TableBuilder(const model::TokenizerSpec& spec) : spec_(spec) {}

  CharacterTableParts build() {
    CodePointTableParts table = build_code_point_table([this](uint32_t c) { return action(c); });
    return {std::move(table), std::move(records_)};
  }

 private:
  /// Kind and, for a replaced character, the offset of its record.
  uint32_t action(uint32_t c) {
    if (spec_.strip_accents && c >= kHangulFirst && c <= kHangulLast)
      return value(CharacterKind::hangul);
    const std::vector<Item> items = normalize(c, spec_);
    if (items.empty()) return value(CharacterKind::dropped);
    const Item& only = items.front();
    if (items.size() == 1 && only.code_point == c && only.combining_class == 0 &&
        only.kind != CharacterKind::dropped && (only.kind != CharacterKind::space || c == ' ')) {
      return value(only.kind);
    }
    if (items.size() == 1 && only.kind == CharacterKind::space && only.code_point == ' ') {
      return value(CharacterKind::space);
    }
    return value(CharacterKind::replaced) | record_offset(items) << 5;
  }

  static uint32_t value(CharacterKind kind) { return static_cast<uint32_t>(kind); }

  uint32_t record_offset(const std::vector<Item>& items) {
    std::string record(1, static_cast<char>(items.size()));
    for (const Item& item : items) {
      std::string bytes;
      if (item.kind != CharacterKind::dropped) append_utf8(item.code_point, bytes);
      record.push_back(static_cast<char>(item.kind));
      record.push_back(static_cast<char>(item.combining_class));
      record.push_back(static_cast<char>(bytes.size()));
      record += bytes;
    }
    const auto next = static_cast<uint32_t>(records_.size());
    const auto [it, is_new] = known_records_.try_emplace(record, next);
    if (is_new) records_.insert(records_.end(), record.begin(), record.end());
    return it->second;
  }

  const model::TokenizerSpec& spec_;
  std::vector<uint8_t> records_;
  std::map<std::string, uint32_t> known_records_;
};

/// Whether a record begins at `offset`, ends within `records` and holds what for_each_item() may
/// trust.
bool is_record(std::span<const uint8_t> records, size_t offset) {
  if (offset >= records.size()) return false;
  for (uint32_t left = records[offset++]; left > 0; --left) {
    if (records.size() - offset < 3) return false;
    const uint8_t kind = records[offset];
    const uint8_t length = records[offset + 2];
    offset += 3;
    if (kind > static_cast<uint8_t>(CharacterKind::dropped)) return false;
    if (length > 4 || records.size() - offset < length) return false;
    const char* const bytes = reinterpret_cast<const char*>(records.data() + offset);
    if (length > 0 && !is_valid_utf8({bytes, length})) return false;
    if (length > 0 && decode(bytes).length != length) return false;
    offset += length;
  }
  return true;
}

}  // namespace

bool vanishes(std::string_view text, const model::TokenizerSpec& spec) {
  for (size_t i = 0; i < text.size();) {
    const auto [code_point, length] = decode(text.data() + i);
    const auto kept = [](const Item& item) { return item.kind != CharacterKind::dropped; };
    if (std::ranges::any_of(normalize(code_point, spec), kept)) return false;
    i += length;
  }
  return true;
}

CharacterTableParts build_character_table(const model::TokenizerSpec& spec) {
  return TableBuilder(spec).build();
}

Status CharacterTable::validate() const {
  TILEWISE_RETURN_IF_ERROR(CodePointTable::validate());
  for (const uint32_t e : entries()) {
    if ((e & 7) >= kCharacterKinds) {
      return broken_tables("The character table has an unknown kind", {}, {});
    }
    if (kind(e) == CharacterKind::replaced && !is_record(records_, e >> 5)) {
      return broken_tables(
          "The character table has a broken replacement", {},
          "offset " + std::to_string(e >> 5) + " of " + std::to_string(records_.size()));
    }
  }
  return {};
}

}  // namespace tilewise::text
