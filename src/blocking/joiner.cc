#include <algorithm>
#include <numeric>
#include <optional>
#include <tuple>

#include "blocking/clusters.h"
#include "blocking/union_find.h"

namespace tilewise::blocking {

void Joiner::add_match(std::string_view left, std::string_view right, float score) {
  const uint32_t a = add_record(left);
  const uint32_t b = add_record(right);
  if (a != b) matches_.push_back({std::min(a, b), std::max(a, b), score});
}

// Of one pair the best score stays.
void Joiner::drop_repeated() {
  std::sort(matches_.begin(), matches_.end(), [](const Match& x, const Match& y) {
    return std::tie(x.a, x.b, y.score) < std::tie(y.a, y.b, x.score);
  });
  const auto same = [](const Match& x, const Match& y) { return x.a == y.a && x.b == y.b; };
  matches_.erase(std::unique(matches_.begin(), matches_.end(), same), matches_.end());
}

std::vector<Group> Joiner::groups(size_t smallest) {
  drop_repeated();
  // From the best match down: the last one that joins two parts of a group is its weakest link.
  std::sort(matches_.begin(), matches_.end(),
            [](const Match& x, const Match& y) { return x.score > y.score; });
  UnionFind sets(records());
  std::vector<float> weakest(records(), 0);
  for (const Match& match : matches_) {
    if (const std::optional<uint32_t> root = sets.join(match.a, match.b)) {
      weakest[*root] = match.score;
    }
  }

  std::vector<uint32_t> order(records());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](uint32_t x, uint32_t y) { return id(x) < id(y); });
  constexpr uint32_t kNoGroup = UINT32_MAX;
  std::vector<uint32_t> group_of(records(), kNoGroup);  // of a root
  std::vector<Group> groups;
  for (const uint32_t record : order) {
    const uint32_t root = sets.find(record);
    if (sets.size(root) < smallest) continue;
    if (group_of[root] == kNoGroup) {
      group_of[root] = static_cast<uint32_t>(groups.size());
      groups.push_back({.weakest = weakest[root]});
      groups.back().members.reserve(sets.size(root));
    }
    groups[group_of[root]].members.push_back(record);
  }
  for (const Match& match : matches_) {
    const uint32_t group = group_of[sets.find(match.a)];
    if (group != kNoGroup) ++groups[group].matches;
  }
  return groups;
}

}  // namespace tilewise::blocking
