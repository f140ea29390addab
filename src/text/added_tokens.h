// Tokens that are recognised in the text itself ("[SEP]"), before it is split into words.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string_view>

#include "text/code_point_table.h"
#include "text/trie.h"
#include "text/utf8.h"

namespace tilewise::text {

/// One added token as it lies in the tables.
struct AddedTokenRecord {
  static constexpr uint32_t kSingleWord = 1, kLeftStrip = 2, kRightStrip = 4;
  int32_t id;
  uint32_t flags;
};

class AddedTokens {
 public:
  /// Which text a token is matched in; the roots of the trie.
  enum Stage : uint32_t { kRaw = 0, kNormalized = 1, kStages = 2 };

  AddedTokens() = default;
  /// The values of the trie are indices into `records`.
  AddedTokens(Trie trie, std::span<const AddedTokenRecord> records)
      : trie_(trie), records_(records) {
    for (uint32_t stage = 0; stage < kStages; ++stage) {
      for (uint32_t byte = 0; byte < 256; ++byte) {
        if (!trie_.begins(stage, static_cast<uint8_t>(byte))) continue;
        starts_[stage][byte] = true;
        ++start_count_[stage];
        last_start_[stage] = static_cast<uint8_t>(byte);
      }
    }
  }

  bool any(Stage stage) const { return start_count_[stage] != 0; }

  /// Cuts `text` at the tokens of a stage, in order: on_text(std::string_view) for what lies
  /// between, never empty, and on_token(id). The leftmost match counts, of those at one place the
  /// longest.
  template <class OnText, class OnToken>
  void split(Stage stage, std::string_view text, const CodePointTable& characters, OnText&& on_text,
             OnToken&& on_token) const {
    size_t done = 0;
    for (Found found = find(stage, text, 0); found.begin < text.size();
         found = find(stage, text, found.end)) {
      const AddedTokenRecord& token = records_[found.record];
      if (has(token, AddedTokenRecord::kSingleWord) && touches_word(text, found, characters))
        continue;
      size_t begin = found.begin;
      size_t end = found.end;
      if (has(token, AddedTokenRecord::kLeftStrip))
        begin = strip_left(text, begin, done, characters);
      if (has(token, AddedTokenRecord::kRightStrip)) end = strip_right(text, end, characters);
      if (done < begin) on_text(text.substr(done, begin - done));
      if (begin < end) on_token(token.id);
      done = end;
    }
    if (done < text.size()) on_text(text.substr(done));
  }

 private:
  struct Found {
    size_t begin;  ///< the size of the text when there is none
    size_t end;
    uint32_t record;
  };

  static bool has(const AddedTokenRecord& token, uint32_t flag) {
    return (token.flags & flag) != 0;
  }

  Found find(Stage stage, std::string_view text, size_t from) const {
    for (; (from = next_start(stage, text, from)) < text.size(); ++from) {
      const auto same = [](unsigned char byte) { return byte; };
      const char* const end = text.data() + text.size();
      const Trie::Match match = trie_.longest(stage, text.data() + from, end, same);
      if (match.value != Trie::kNone) return {from, from + match.length, match.value};
    }
    return {text.size(), text.size(), 0};
  }

  /// The next byte that a token begins with.
  size_t next_start(Stage stage, std::string_view text, size_t from) const {
    if (start_count_[stage] == 1 && from < text.size()) {
      const void* hit = std::memchr(text.data() + from, last_start_[stage], text.size() - from);
      return hit ? static_cast<size_t>(static_cast<const char*>(hit) - text.data()) : text.size();
    }
    while (from < text.size() && !starts_[stage][static_cast<unsigned char>(text[from])]) ++from;
    return from;
  }

  static bool touches_word(std::string_view text, const Found& found,
                           const CodePointTable& characters) {
    const bool before =
        found.begin > 0 && characters.is_word(decode_last(text.substr(0, found.begin)));
    const bool after =
        found.end < text.size() && characters.is_word(decode(text.data() + found.end).code_point);
    return before || after;
  }

  /// White space before a match belongs to it, but for what an earlier match has taken.
  static size_t strip_left(std::string_view text, size_t begin, size_t done,
                           const CodePointTable& characters) {
    while (begin > done) {
      size_t previous = begin - 1;
      while ((static_cast<unsigned char>(text[previous]) & 0xC0) == 0x80) --previous;
      if (!characters.is_whitespace(decode(text.data() + previous).code_point)) break;
      begin = previous;
    }
    return std::max(begin, done);
  }

  static size_t strip_right(std::string_view text, size_t end, const CodePointTable& characters) {
    while (end < text.size()) {
      const auto [code_point, length] = decode(text.data() + end);
      if (!characters.is_whitespace(code_point)) break;
      end += length;
    }
    return end;
  }

  Trie trie_;
  std::span<const AddedTokenRecord> records_;
  std::array<std::array<bool, 256>, kStages> starts_ = {};
  std::array<uint32_t, kStages> start_count_ = {};
  std::array<uint8_t, kStages> last_start_ = {};
};

}  // namespace tilewise::text
