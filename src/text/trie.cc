#include "text/trie.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <utility>

#include "text/tables_block.h"

namespace tilewise::text {
namespace {

constexpr uint32_t kBlock = 256;
/// Blocks further back than this are taken as full: it bounds the search at the price of a few
/// holes.
constexpr uint32_t kOpenBlocks = 16;

/// Places nodes breadth first, so that the upper levels, which every walk uses, lie close together.
class TrieBuilder {
 public:
  std::vector<TrieUnit> build(std::vector<std::vector<TrieKey>> roots) {
    grow();
    for (uint32_t root = 0; root < roots.size(); ++root) take(root, Trie::kUnusedLabel);
    for (uint32_t root = 0; root < roots.size(); ++root) {
      sort_and_keep_last(roots[root]);
      pending_.push_back({root, roots[root], 0});
    }
    while (!pending_.empty()) {
      const Node node = pending_.front();
      pending_.pop_front();
      place(node);
    }
    return std::move(units_);
  }

 private:
  struct Node {
    uint32_t unit;
    std::span<const TrieKey> keys;  ///< sorted; all begin with the node's path
    size_t depth;                   ///< bytes of that path
  };

  static void sort_and_keep_last(std::vector<TrieKey>& keys) {
    std::map<std::string, uint32_t> sorted;
    for (TrieKey& key : keys) sorted.insert_or_assign(std::move(key.bytes), key.value);
    keys.clear();
    for (auto& [bytes, value] : sorted) keys.push_back({bytes, value});
  }

  void place(const Node& node) {
    std::span<const TrieKey> keys = node.keys;
    if (!keys.empty() && keys.front().bytes.size() == node.depth) {
      const uint32_t label = units_[node.unit].label();
      if (node.depth > 0) units_[node.unit].label_and_value = label | (keys.front().value + 1) << 8;
      keys = keys.subspan(1);
    }
    if (keys.empty()) return;

    std::vector<std::pair<uint32_t, std::span<const TrieKey>>> groups;
    while (!keys.empty()) {
      const char byte = keys.front().bytes[node.depth];
      const auto same = [&](const TrieKey& key) { return key.bytes[node.depth] == byte; };
      const auto end = std::ranges::find_if_not(keys, same);
      const auto count = static_cast<size_t>(end - keys.begin());
      groups.emplace_back(static_cast<unsigned char>(byte), keys.first(count));
      keys = keys.subspan(count);
    }
    std::vector<uint32_t> labels;
    labels.reserve(groups.size());
    for (const auto& group : groups) labels.push_back(group.first);
    const uint32_t children = find_children(labels);
    is_base_[children] = true;
    units_[node.unit].children = children;
    for (const auto& [label, group] : groups) {
      take(children ^ label, label);
      pending_.push_back({children ^ label, group, node.depth + 1});
    }
  }

  /// A base that no other node has, under which the units of all labels are free.
  uint32_t find_children(const std::vector<uint32_t>& labels) {
    for (uint32_t unit = first_free_; unit < units_.size(); unit = links_[unit].next) {
      if (fits(unit ^ labels[0], labels)) return unit ^ labels[0];
    }
    const auto block = static_cast<uint32_t>(units_.size());
    grow();
    for (uint32_t base = block; base < block + kBlock; ++base) {
      if (fits(base, labels)) return base;
    }
    return block;  // not reached: a new block has room for any set of labels
  }

  bool fits(uint32_t base, const std::vector<uint32_t>& labels) const {
    if (base == 0 || is_base_[base]) return false;  // 0 means "no children"
    return std::ranges::all_of(labels, [&](uint32_t label) { return is_free_[base ^ label]; });
  }

  void take(uint32_t unit, uint32_t label) {
    is_free_[unit] = false;
    units_[unit].label_and_value = label;
    if (unit < first_free_) return;  // of a block that is not searched any more
    const auto [previous, next] = links_[unit];
    if (next < links_.size()) links_[next].previous = previous;
    if (unit == first_free_) {
      first_free_ = next;
    } else {
      links_[previous].next = next;
    }
    if (unit == last_free_) last_free_ = previous;
  }

  void grow() {
    const auto begin = static_cast<uint32_t>(units_.size());
    const uint32_t end = begin + kBlock;
    units_.resize(end, {0, Trie::kUnusedLabel});
    is_free_.resize(end, true);
    is_base_.resize(end, false);
    for (uint32_t unit = begin; unit < end; ++unit) links_.push_back({unit - 1, unit + 1});
    if (first_free_ >= begin) {
      first_free_ = begin;  // there was no free unit
    } else {
      links_[last_free_].next = begin;
      links_[begin].previous = last_free_;
    }
    last_free_ = end - 1;
    while (end > kOpenBlocks * kBlock && first_free_ < end - kOpenBlocks * kBlock) {
      first_free_ = links_[first_free_].next;
    }
  }

  std::vector<TrieUnit> units_;
  std::vector<bool> is_free_;
  std::vector<bool> is_base_;

  /// The free units of the blocks that are still searched, in ascending order; the last one's next
  /// is past the end.
  struct Link {
    uint32_t previous;
    uint32_t next;
  };
  std::vector<Link> links_;
  uint32_t first_free_ = 0;
  uint32_t last_free_ = 0;
  std::deque<Node> pending_;
};

Status broken(std::string found) {
  return broken_tables("The vocabulary's search tree is broken", {}, std::move(found));
}

}  // namespace

Status Trie::validate(uint32_t roots, uint32_t values) const {
  if (units_.size() % kBlock != 0 || units_.size() < std::max(roots, kBlock)) {
    return broken(std::to_string(units_.size()) + " units");
  }
  // Or-ing instead of testing each unit keeps the pass over a large vocabulary far below a
  // millisecond.
  bool outside = false;
  for (const TrieUnit& unit : units_) {
    outside |= unit.children >= units_.size();
    outside |= unit.label_and_value >> 8 > values;
  }
  return outside ? broken("a reference past its end") : Status();
}

std::vector<TrieUnit> build_trie(std::vector<std::vector<TrieKey>> roots) {
  return TrieBuilder().build(std::move(roots));
}

}  // namespace tilewise::text
