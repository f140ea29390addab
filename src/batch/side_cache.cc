#include "batch/side_cache.h"

#include <algorithm>
#include <variant>

#include <xxhash.h>

namespace tilewise::batch {
namespace {

constexpr size_t kEntries = 2048;          // a power of two
constexpr size_t kIds = size_t{64} << 10;  // of all entries

}  // namespace

SideCache::SideCache(const model::Task& task) : task_(&task), entries_(kEntries) {}

Status SideCache::add(const model::PairInput& pair, engine::Worker& worker) {
  // Both sides must be here at the same time.
  if (ids_.size() + 2 * static_cast<size_t>(task_->max_tokens) > kIds) forget();
  TILEWISE_ASSIGN_OR_RETURN(const Entry left, find_or_encode(pair.left, worker));
  TILEWISE_ASSIGN_OR_RETURN(const Entry right, find_or_encode(pair.right, worker));
  return worker.add_pair(side(left), side(right));
}

Result<SideCache::Entry> SideCache::find_or_encode(const model::Content& content,
                                                   engine::Worker& worker) {
  const engine::Key key = hash(content);
  Entry& entry = entries_[key.low % kEntries];
  if (entry.tokens >= 0 && entry.content == key) return entry;
  const size_t first = ids_.size();
  TILEWISE_ASSIGN_OR_RETURN(const int64_t tokens, worker.encode_side(*task_, content, ids_));
  entry = {.content = key,
           .first = static_cast<uint32_t>(first),
           .count = static_cast<uint32_t>(ids_.size() - first),
           .tokens = tokens};
  return entry;
}

// Lengths keep texts apart, whatever stands in them.
engine::Key SideCache::hash(const model::Content& content) {
  bytes_.clear();
  const auto append = [&](const std::string& text) {
    bytes_ += std::to_string(text.size());
    bytes_ += ':';
    bytes_ += text;
  };
  if (const auto* text = std::get_if<std::string>(&content)) {
    bytes_ += '"';
    append(*text);
  } else {
    for (const model::Record::Field& field : std::get<model::Record>(content).fields) {
      append(field.name);
      append(field.value);
    }
  }
  const XXH128_hash_t hashed = XXH3_128bits(bytes_.data(), bytes_.size());
  return {.low = hashed.low64, .high = hashed.high64};
}

void SideCache::forget() {
  std::ranges::fill(entries_, Entry{});
  ids_.clear();
}

}  // namespace tilewise::batch
