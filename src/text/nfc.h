// Unicode's normalisation form C (Unicode 15, 3.11), over tables that are used where they lie.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "text/code_point_table.h"
#include "text/unicode.h"

namespace tilewise::text {

class Nfc {
 public:
  /// Of a table's entry: the character may change, or change what stands before it. Text without
  /// such characters is in form C. The bits from kRecordShift on are the place of its record, 0
  /// where it has none: a starter that stays as it is.
  static constexpr uint32_t kUnsettled = 4;
  static constexpr int kRecordShift = 5;

  Nfc() = default;
  /// A record is a number of characters, and then each of them with its combining class in the
  /// highest byte. `compositions` ascend by both characters; Hangul is not among them.
  Nfc(const CodePointTable& characters, std::span<const uint32_t> records,
      std::span<const Composition> compositions)
      : characters_(characters), records_(records), compositions_(compositions) {}

  /// Whether every record lies within the others and holds characters, as do the compositions.
  /// Errors: invalid_input.
  Status validate() const;

  /// Memory of a caller, reused between calls.
  struct Buffer {
    std::string text;
    std::vector<uint32_t> items;
  };
  /// The normalised text: `text` (valid UTF-8) itself where nothing is to be done, else in
  /// `buffer`.
  std::string_view normalize(std::string_view text, Buffer& buffer) const;

 private:
  struct Span {
    size_t begin;
    size_t end;
  };
  Span next_unsettled(std::string_view text, size_t from) const;
  void append_normalized(std::string_view text, Buffer& buffer) const;
  void decompose(uint32_t code_point, std::vector<uint32_t>& out) const;
  uint32_t compose(uint32_t first, uint32_t second) const;

  CodePointTable characters_;
  std::span<const uint32_t> records_;
  std::span<const Composition> compositions_;
};

/// What an Nfc needs beside the table of characters.
struct NfcParts {
  std::vector<uint32_t> records;
  std::vector<Composition> compositions;
};

/// Collects the parts and says which bits each character's entry gets.
class NfcBuilder {
 public:
  NfcBuilder();

  /// The flag kUnsettled and the place of the character's record.
  uint32_t entry_bits(uint32_t code_point);

  NfcParts take_parts() { return std::move(parts_); }

 private:
  NfcParts parts_;
  std::vector<uint32_t> seconds_;  ///< of the compositions, ascending
};

}  // namespace tilewise::text
