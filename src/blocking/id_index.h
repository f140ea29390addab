// Texts <-> dense numbers: the ids of records, and the keys that they share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tilewise::blocking {

/// Numbers distinct texts from 0 in the order in which they came, up to 2^32 - 2 of them. Takes 14
/// to 20 bytes an entry beside the text itself. Not thread-safe while it grows; throws
/// std::bad_alloc.
class IdIndex {
 public:
  struct Added {
    uint32_t index;
    bool is_new;
  };

  Added add(std::string_view text);
  std::optional<uint32_t> find(std::string_view text) const;

  /// Valid until the next add().
  std::string_view text(uint32_t index) const {
    return std::string_view(bytes_).substr(ends_[index], ends_[index + 1] - ends_[index]);
  }
  size_t size() const { return ends_.size() - 1; }

  /// What it holds in memory.
  size_t bytes() const;

 private:
  size_t slot_of(std::string_view text) const;
  void grow();

  std::string bytes_;                 // the texts, end to end
  std::vector<uint64_t> ends_ = {0};  // of text i - 1: where text i begins
  std::vector<uint32_t> slots_;       // open addressing; a power of two
};

}  // namespace tilewise::blocking
