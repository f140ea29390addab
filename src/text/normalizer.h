// BERT normalisation of valid UTF-8, one character at a time, into a sink.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/character_table.h"
#include "text/utf8.h"

namespace tilewise::text {

/// Passes the normalised characters of `text` on, in order: sink.put(kind, bytes, length), where
/// kind is word, space, punctuation or ideograph. The bytes are valid during the call alone.
///
/// A text that is normalised already passes unchanged, but only with MarkOrder::keep: a stripped
/// mark may have kept others apart, which would now be ordered anew.
enum class MarkOrder { canonical, keep };

template <class Sink>
class Normalizer {
 public:
  Normalizer(const CharacterTable& table, Sink& sink, MarkOrder order = MarkOrder::canonical)
      : table_(table), sink_(sink), order_(order) {}

  void normalize(std::string_view text) {
    const char* const end = text.data() + text.size();
    for (const char* p = text.data(); p != end;) {
      const auto [code_point, length] = decode(p);
      const uint32_t entry = table_.entry(code_point);
      switch (const CharacterKind kind = CharacterTable::kind(entry)) {
        case CharacterKind::dropped:
          break;
        case CharacterKind::replaced:
          table_.for_each_item(entry, [this](const ReplacementItem& item) { put(item); });
          break;
        case CharacterKind::hangul:
          put_syllable(code_point);
          break;
        case CharacterKind::space:
          put_marks();
          sink_.put(kind, " ", 1);
          break;
        default:
          put_marks();
          sink_.put(kind, p, length);
      }
      p += length;
    }
    put_marks();
  }

 private:
  void put(const ReplacementItem& item) {
    if (item.combining_class != 0 && order_ == MarkOrder::canonical) {
      marks_.push_back({uint64_t{item.combining_class} << 32 | marks_.size(), item});
      return;
    }
    put_marks();
    if (item.kind != CharacterKind::dropped) sink_.put(item.kind, item.bytes, item.length);
  }

  /// Marks between two starters follow in the order of their combining classes (Unicode 15, 3.11).
  void put_marks() {
    if (marks_.empty()) return;
    std::ranges::sort(marks_, {}, &Mark::order);
    for (const Mark& mark : marks_) sink_.put(mark.item.kind, mark.item.bytes, mark.item.length);
    marks_.clear();
  }

  /// A syllable is L + V, or L + V + T, counted through (Unicode 15, 3.12). All lie in the block
  /// U+1100 to U+11FF.
  void put_syllable(uint32_t code_point) {
    constexpr uint32_t kVowels = 21, kTrailing = 28;
    const uint32_t index = code_point - 0xAC00;
    put_jamo(0x1100 + index / (kVowels * kTrailing));
    put_jamo(0x1161 + index / kTrailing % kVowels);
    if (index % kTrailing != 0) put_jamo(0x11A7 + index % kTrailing);
  }

  void put_jamo(uint32_t c) {
    put_marks();
    const char bytes[] = {static_cast<char>(0xE1), static_cast<char>(0x80 | (c >> 6 & 0x3F)),
                          static_cast<char>(0x80 | (c & 0x3F))};
    sink_.put(CharacterKind::word, bytes, sizeof bytes);
  }

  const CharacterTable& table_;
  Sink& sink_;
  MarkOrder order_;

  struct Mark {
    uint64_t order;  ///< combining class, then place in the text
    ReplacementItem item;
  };
  std::vector<Mark> marks_;  ///< since the last starter; most texts never fill it
};

/// The normalised text itself, as added tokens that ask for it are matched against.
inline std::string normalized_text(const CharacterTable& table, std::string_view text) {
  struct TextSink {
    std::string out;
    void put(CharacterKind kind, const char* bytes, size_t length) {
      if (kind == CharacterKind::ideograph) out.push_back(' ');
      out.append(bytes, length);
      if (kind == CharacterKind::ideograph) out.push_back(' ');
    }
  } sink;
  Normalizer<TextSink>(table, sink).normalize(text);
  return std::move(sink.out);
}

}  // namespace tilewise::text
