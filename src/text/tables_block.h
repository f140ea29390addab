// Sections of the block of tables: written one after the other, and handed out after a look at
// where they lie. See TABLES.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "text/tables_layout.h"

namespace tilewise::text {

/// invalid_input for a block that is damaged.
Status broken_tables(std::string what, std::string expected, std::string found);

/// The header, checked, and sections of the block, which must outlive what is read.
class BlockReader {
 public:
  /// Of a block of the first layout the header has the fields of the second. Errors: invalid_input.
  static Result<BlockReader> open(std::span<const std::byte> block);

  /// Errors: invalid_input when the section does not lie within the block, or holds no whole
  /// elements.
  template <class T>
  Result<std::span<const T>> section(int index) const {
    const auto [offset, bytes] = header.sections[index];
    if (offset % kTablesAlignment != 0 || bytes % sizeof(T) != 0 || offset > block_.size() ||
        bytes > block_.size() - offset) {
      return broken_tables("A section does not lie within the tables", {},
                           "section " + std::to_string(index) + ": " + std::to_string(bytes) +
                               " bytes from " + std::to_string(offset));
    }
    return std::span(reinterpret_cast<const T*>(block_.data() + offset), bytes / sizeof(T));
  }

  TablesHeader header = {};

 private:
  explicit BlockReader(std::span<const std::byte> block) : block_(block) {}
  std::span<const std::byte> block_;
};

class BlockWriter {
 public:
  /// `magic` says the layout.
  explicit BlockWriter(const char (&magic)[8]);

  template <class T>
  void add(int index, const std::vector<T>& values) {
    add_bytes(index, std::as_bytes(std::span(values)));
  }

  std::vector<std::byte> finish();

  TablesHeader header = {};

 private:
  void add_bytes(int index, std::span<const std::byte> bytes);
  size_t header_bytes() const;

  std::vector<std::byte> block_;
};

/// How a tokenizer's text is normalised before normalised tokens are looked for in it: what its
/// added tokens become too.
using TextNormalizer = std::function<std::string(std::string_view)>;

}  // namespace tilewise::text
