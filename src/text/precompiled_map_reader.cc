// The `precompiled_charsmap` of a tokenizer.json.
#include <cstring>
#include <string>
#include <utility>

#include "text/precompiled_map.h"
#include "text/utf8.h"

namespace tilewise::text {
namespace {

using model::Replacement;

Status broken(std::string what, const std::string& where, std::string expected, std::string found) {
  return invalid_input({.what = std::move(what),
                        .where = where,
                        .expected = std::move(expected),
                        .found = std::move(found),
                        .remedy = {}});
}

int value_of_base64(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

/// RFC 4648, with padding.
Result<std::string> decode_base64(std::string_view text, const std::string& where) {
  const auto refuse = [&] { return broken("The map is not in base64", where, "base64", {}); };
  if (text.size() % 4 != 0) return refuse();
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  text.remove_suffix(padding);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 3);
  uint32_t bits = 0;
  size_t count = 0;
  for (const char c : text) {
    const int value = value_of_base64(c);
    if (value < 0) return refuse();
    bits = bits << 6 | static_cast<uint32_t>(value);
    const size_t place = ++count % 4;  // of the character in its group of four
    if (place != 1) bytes.push_back(static_cast<char>(bits >> (4 - place) % 4 * 2 & 0xFF));
  }
  return bytes;
}

/// One unit of darts-clone's double array (Yata).
struct DartsUnit {
  uint32_t bits;

  /// Of a unit that holds a value it is no byte.
  uint32_t label() const { return bits & (1u << 31 | 0xFF); }
  bool has_leaf() const { return (bits >> 8 & 1) != 0; }
  uint32_t offset() const { return (bits >> 10) << ((bits & 1u << 9) >> 6); }
  uint32_t value() const { return bits & ~(1u << 31); }
};

/// Walks through the trie, depth first, and notes what a short text leads to.
class RuleReader {
 public:
  RuleReader(std::span<const DartsUnit> units, std::string_view texts, const std::string& where)
      : units_(units), texts_(texts), where_(where) {}

  Result<std::vector<Replacement>> read() {
    TILEWISE_RETURN_IF_ERROR(descend(0));
    return std::move(rules_);
  }

 private:
  /// No text has the bytes above it; U+0000 ends what rules are looked for in.
  static constexpr uint32_t kFirstByte = 1, kLastByte = 0xF4;
  /// Paths with the same end share it, so that a small file could have more of them than anyone can
  /// walk. XLM-R's map takes 6,530.
  static constexpr uint32_t kMaxSteps = 1u << 17;

  Status descend(uint32_t node) {
    const uint32_t children = node ^ units_[node].offset();
    for (uint32_t byte = kFirstByte; byte <= kLastByte; ++byte) {
      const uint32_t child = children ^ byte;
      if (child >= units_.size()) return outside();
      if (units_[child].label() != byte) continue;
      if (++steps_ > kMaxSteps) return too_large();
      path_.push_back(static_cast<char>(byte));
      if (units_[child].has_leaf()) {
        TILEWISE_RETURN_IF_ERROR(add_rule(child ^ units_[child].offset()));
      } else if (path_.size() < PrecompiledMap::kLongestCluster) {
        TILEWISE_RETURN_IF_ERROR(descend(child));
      }
      path_.pop_back();
    }
    return {};
  }

  Status add_rule(uint32_t leaf) {
    if (leaf >= units_.size()) return outside();
    const uint32_t begin = units_[leaf].value();
    if (begin > texts_.size()) return outside();
    const std::string_view text = texts_.substr(begin, texts_.find('\0', begin) - begin);
    if (!is_valid_utf8(text)) return broken("The map's texts are not UTF-8", where_, {}, {});
    if (text.size() > 255) {
      return unsupported({.what = "A text of the map is too long",
                          .where = where_,
                          .expected = "at most 255 bytes",
                          .found = std::to_string(text.size()),
                          .remedy = {}});
    }
    text_bytes_ += 1 + text.size();
    if (text_bytes_ > Trie::kMaxValue) return too_large();  // they may all differ
    rules_.push_back({path_, std::string(text)});
    return {};
  }

  Status too_large() const {
    return unsupported({.what = "The map has too many rules",
                        .where = where_,
                        .expected = "at most " + std::to_string(kMaxSteps) +
                                    " steps to all of them, and " +
                                    std::to_string(Trie::kMaxValue) + " bytes of texts",
                        .found = "more",
                        .remedy = {}});
  }

  Status outside() const { return broken("The map leads outside of itself", where_, {}, {}); }

  std::span<const DartsUnit> units_;
  std::string_view texts_;
  const std::string& where_;
  uint32_t steps_ = 0;
  uint64_t text_bytes_ = 0;
  std::string path_;
  std::vector<Replacement> rules_;
};

}  // namespace

Result<std::vector<Replacement>> read_precompiled_map(std::string_view base64,
                                                      const std::string& where) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string bytes, decode_base64(base64, where));
  uint32_t trie_bytes = 0;
  if (bytes.size() < sizeof trie_bytes) return broken("The map is too short", where, {}, {});
  std::memcpy(&trie_bytes, bytes.data(), sizeof trie_bytes);
  const std::string_view rest = std::string_view(bytes).substr(sizeof trie_bytes);
  if (trie_bytes == 0 || trie_bytes % sizeof(DartsUnit) != 0 || trie_bytes > rest.size()) {
    return broken("The map's trie has a wrong length", where,
                  "a multiple of 4 up to " + std::to_string(rest.size()),
                  std::to_string(trie_bytes));
  }
  std::vector<DartsUnit> units(trie_bytes / sizeof(DartsUnit));
  std::memcpy(units.data(), rest.data(), trie_bytes);
  const std::string_view texts = rest.substr(trie_bytes);
  if (!is_valid_utf8(texts)) return broken("The map's texts are not UTF-8", where, {}, {});
  return RuleReader(units, texts, where).read();
}

}  // namespace tilewise::text
