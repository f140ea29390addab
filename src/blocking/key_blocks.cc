#include "blocking/key_blocks.h"

#include <algorithm>
#include <tuple>

namespace tilewise::blocking {
namespace {

using Entries = std::span<const RecordKeys::Entry>;

/// Takes the entries of `key` from the front.
Entries take_block(Entries& entries, uint32_t key) {
  const auto end = std::find_if(entries.begin(), entries.end(),
                                [key](const RecordKeys::Entry& entry) { return entry.key != key; });
  const auto count = static_cast<size_t>(end - entries.begin());
  const Entries block = entries.first(count);
  entries = entries.subspan(count);
  return block;
}

}  // namespace

void RecordKeys::add(std::span<const uint32_t> numbers, std::span<const uint32_t> values) {
  for (const uint32_t number : numbers) entries_.push_back({number, records_});
  values_.insert(values_.end(), values.begin(), values.end());
  ++records_;
}

std::vector<RecordKeys::Entry> RecordKeys::sorted_entries() const {
  std::vector<Entry> entries = entries_;
  const auto order = [](const Entry& a, const Entry& b) {
    return std::tie(a.key, a.record) < std::tie(b.key, b.record);
  };
  std::sort(entries.begin(), entries.end(), order);
  const auto same = [](const Entry& a, const Entry& b) {
    return a.key == b.key && a.record == b.record;
  };
  entries.erase(std::unique(entries.begin(), entries.end(), same), entries.end());
  return entries;
}

bool RecordKeys::agrees(uint32_t record, const RecordKeys& other, uint32_t other_record) const {
  for (size_t i = 0; i < agreeing_; ++i) {
    const uint32_t a = values_[record * agreeing_ + i];
    const uint32_t b = other.values_[other_record * agreeing_ + i];
    if (a != b && a != kNoValue && b != kNoValue) return false;
  }
  return true;
}

std::vector<KeyPair> pairs_of_keys(const RecordKeys& left, const RecordKeys* right,
                                   int64_t most_records, KeyReport& report) {
  const std::vector<RecordKeys::Entry> left_entries = left.sorted_entries();
  const std::vector<RecordKeys::Entry> right_entries =
      right != nullptr ? right->sorted_entries() : std::vector<RecordKeys::Entry>();
  const RecordKeys& others = right != nullptr ? *right : left;
  std::vector<KeyPair> pairs;
  Entries left_rest = left_entries, right_rest = right_entries;
  while (!left_rest.empty()) {
    const uint32_t key = left_rest.front().key;
    const Entries block = take_block(left_rest, key);
    while (!right_rest.empty() && right_rest.front().key < key) right_rest = right_rest.subspan(1);
    const Entries partners = right != nullptr ? take_block(right_rest, key) : block;
    const auto records =
        static_cast<int64_t>(block.size() + (right != nullptr ? partners.size() : 0));
    if (records < 2 || partners.empty()) continue;
    ++report.blocks;
    report.largest_block = std::max(report.largest_block, records);
    if (records > most_records) {
      ++report.skipped_blocks;
      continue;
    }
    for (size_t i = 0; i < block.size(); ++i) {
      for (size_t j = right != nullptr ? 0 : i + 1; j < partners.size(); ++j) {
        const KeyPair pair{block[i].record, partners[j].record, key};
        if (left.agrees(pair.left, others, pair.right)) pairs.push_back(pair);
      }
    }
  }
  return pairs;
}

}  // namespace tilewise::blocking
