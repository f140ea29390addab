#include "text/precompiled_map.h"

#include <map>
#include <string>
#include <utility>

#include "text/tables_block.h"
#include "text/utf8.h"

namespace tilewise::text {
namespace {

constexpr unsigned char same(unsigned char byte) { return byte; }

/// Whether a length and so many bytes of UTF-8 lie at `offset`.
bool is_text(std::span<const uint8_t> texts, size_t offset) {
  if (offset >= texts.size() || texts.size() - offset - 1 < texts[offset]) return false;
  return is_valid_utf8({reinterpret_cast<const char*>(texts.data()) + offset + 1, texts[offset]});
}

}  // namespace

struct PrecompiledMap::Character {
  GraphemeClass grapheme_class;
  bool is_replaced;
  uint32_t length;
};

PrecompiledMap::PrecompiledMap(CodePointTable characters, Trie rules,
                               std::span<const uint8_t> texts)
    : characters_(characters), rules_(rules), texts_(texts) {
  for (uint8_t byte = 0; byte < 128; ++byte) {
    const uint32_t entry = characters_.entry(byte);
    is_plain_[byte] = (entry & kReplacedFlag) == 0 && byte != '\r';  // CR LF is one cluster
  }
}

Status PrecompiledMap::validate() const {
  for (const uint32_t entry : characters_.entries()) {
    if ((entry >> kClassShift & ((1u << kClassBits) - 1)) >= kGraphemeClasses) {
      return broken_tables("The character table has an unknown class", {}, {});
    }
  }
  bool inside = true;
  rules_.for_each_value([&](uint32_t value) { inside = inside && is_text(texts_, value); });
  if (!inside) return broken_tables("A rule of the normaliser leads to no text", {}, {});
  return {};
}

PrecompiledMap::Character PrecompiledMap::character_at(const char* p) const {
  const auto [code_point, length] = decode(p);
  const uint32_t entry = characters_.entry(code_point);
  const uint32_t class_bits = entry >> kClassShift & ((1u << kClassBits) - 1);
  return {static_cast<GraphemeClass>(class_bits), (entry & kReplacedFlag) != 0, length};
}

void PrecompiledMap::normalize(std::string_view text, std::string& out) const {
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p != end) {
    const char* const stop = skip_plain(p, end);
    out.append(p, stop);
    p = stop == end ? end : put_cluster(stop, end, out);
  }
}

/// Past ASCII that nothing happens to. What stands before another character may be one with it.
const char* PrecompiledMap::skip_plain(const char* p, const char* end) const {
  const auto is_plain = [this](char c) { return is_plain_[static_cast<unsigned char>(c)]; };
  const char* const begin = p;
  while (p != end && is_plain(*p)) ++p;
  const bool is_bound = p != end && static_cast<unsigned char>(*p) >= 0x80;
  return is_bound && p != begin ? p - 1 : p;
}

/// Appends what becomes of the cluster that begins here, and returns its end.
const char* PrecompiledMap::put_cluster(const char* begin, const char* end,
                                        std::string& out) const {
  const Character first = character_at(begin);
  const char* p = begin + first.length;
  GraphemeCluster cluster(first.grapheme_class);
  bool is_replaced = first.is_replaced;
  while (p != end) {
    const Character next = character_at(p);
    if (!cluster.extends(next.grapheme_class)) break;
    is_replaced |= next.is_replaced;
    p += next.length;
  }
  const auto bytes = static_cast<size_t>(p - begin);
  if (bytes > first.length && bytes <= kLongestCluster && put_replacement(begin, p, out)) return p;
  if (!is_replaced) {
    out.append(begin, p);
    return p;
  }
  for (const char* c = begin; c != p;) {
    const Character character = character_at(c);
    const char* const next = c + character.length;
    if (!character.is_replaced || !put_replacement(c, next, out)) out.append(c, next);
    c = next;
  }
  return p;
}

bool PrecompiledMap::put_replacement(const char* begin, const char* end, std::string& out) const {
  const Trie::Match rule = rules_.shortest(0, begin, end, same);
  if (rule.value == Trie::kNone) return false;
  const uint8_t* const text = texts_.data() + rule.value;
  out.append(reinterpret_cast<const char*>(text) + 1, text[0]);
  return true;
}

PrecompiledMap PrecompiledMapParts::view() const {
  return PrecompiledMap(CodePointTable(characters.blocks, characters.entries), Trie(rules), texts);
}

PrecompiledMapParts build_precompiled_map(const std::vector<model::Replacement>& rules) {
  PrecompiledMapParts parts;
  std::map<std::string_view, uint32_t> offsets;
  std::vector<std::vector<TrieKey>> roots(1);
  for (const model::Replacement& rule : rules) {
    const auto next = static_cast<uint32_t>(parts.texts.size());
    const auto [it, is_new] = offsets.try_emplace(rule.to, next);
    if (is_new) {
      parts.texts.push_back(static_cast<uint8_t>(rule.to.size()));
      parts.texts.insert(parts.texts.end(), rule.to.begin(), rule.to.end());
    }
    roots[0].push_back({rule.from, it->second});
  }
  parts.rules = build_trie(std::move(roots));
  const Trie trie(parts.rules);
  parts.characters = build_code_point_table([&trie](uint32_t c) {
    std::string text;
    append_utf8(c, text);
    const char* const end = text.data() + text.size();
    const bool is_replaced = trie.shortest(0, text.data(), end, same).value != Trie::kNone;
    return static_cast<uint32_t>(grapheme_class(c)) << PrecompiledMap::kClassShift |
           (is_replaced ? PrecompiledMap::kReplacedFlag : 0);
  });
  return parts;
}

}  // namespace tilewise::text
