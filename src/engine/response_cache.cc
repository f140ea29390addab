#include "engine/response_cache.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <list>
#include <mutex>
#include <unordered_map>
#include <vector>

#include <xxhash.h>

namespace tilewise::engine {
namespace {

struct Entry {
  uint64_t hash = 0;
  uint64_t model = 0;
  int32_t task = 0;
  bool ignores_exits = false;
  int32_t tokens = 0;
  std::vector<int32_t> words;  // ids, types, and the bits of the outputs

  bool answers(const CacheKey& key, size_t values) const {
    const size_t count = key.ids.size();
    return model == key.model && task == key.task && ignores_exits == key.ignores_exits &&
           static_cast<size_t>(tokens) == count && words.size() == 2 * count + values &&
           std::equal(key.ids.begin(), key.ids.end(), words.begin()) &&
           std::equal(key.types.begin(), key.types.end(),
                      words.begin() + static_cast<std::ptrdiff_t>(count));
  }
};

/// Of an entry besides its words: nodes of the list and of the table, its share of the buckets, and
/// what the allocator adds to three blocks.
constexpr int64_t kEntryBytes =
    static_cast<int64_t>(sizeof(Entry)) + 2 * sizeof(void*) + 4 * sizeof(void*) + 3 * 16;

int64_t bytes_of(size_t words) {
  return kEntryBytes + static_cast<int64_t>(words * sizeof(int32_t));
}

uint64_t hash_of(const CacheKey& key) {
  const uint64_t seed = (key.model << 25) ^ (uint64_t{static_cast<uint32_t>(key.task)} << 1) ^
                        static_cast<uint64_t>(key.ignores_exits);
  const uint64_t ids = XXH3_64bits_withSeed(key.ids.data(), key.ids.size_bytes(), seed);
  return XXH3_64bits_withSeed(key.types.data(), key.types.size_bytes(), ids);
}

struct Shard {
  std::mutex mutex;
  std::list<Entry> entries;  // the last asked for is the first
  std::unordered_map<uint64_t, std::list<Entry>::iterator> by_hash;
  int64_t bytes = 0;

  void erase(std::list<Entry>::iterator entry) {
    bytes -= bytes_of(entry->words.size());
    by_hash.erase(entry->hash);
    entries.erase(entry);
  }
};

constexpr int64_t kMostShards = 16;
constexpr int64_t kLeastShardBytes = 64 << 10;

}  // namespace

struct ResponseCache::State {
  explicit State(int64_t bytes)
      : shards(static_cast<size_t>(std::clamp<int64_t>(bytes / kLeastShardBytes, 1, kMostShards))),
        shard_bytes(bytes / static_cast<int64_t>(shards.size())) {}

  // The table inside uses the low bits.
  Shard& shard_of(uint64_t hash) { return shards[(hash >> 32) % shards.size()]; }

  std::vector<Shard> shards;
  const int64_t shard_bytes;
  std::atomic<int64_t> hits = 0;
  std::atomic<int64_t> misses = 0;
};

CacheKey sequence_key(CacheKey of, const text::PackedTokens& packed, int32_t sequence) {
  const auto first = static_cast<size_t>(packed.offsets[sequence]);
  const auto count = static_cast<size_t>(packed.offsets[sequence + 1]) - first;
  of.ids = std::span(packed.ids).subspan(first, count);
  of.types = std::span(packed.types).subspan(first, count);
  return of;
}

ResponseCache::ResponseCache(int64_t bytes) : state_(std::make_unique<State>(bytes)) {}
ResponseCache::~ResponseCache() = default;

bool ResponseCache::find(const CacheKey& key, std::span<float> values) {
  const uint64_t hash = hash_of(key);
  Shard& shard = state_->shard_of(hash);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.by_hash.find(hash);
  if (found == shard.by_hash.end()) return false;
  const Entry& entry = *found->second;
  if (!entry.answers(key, values.size())) return false;
  std::memcpy(values.data(), &entry.words[2 * key.ids.size()], values.size_bytes());
  shard.entries.splice(shard.entries.begin(), shard.entries, found->second);
  return true;
}

void ResponseCache::insert(const CacheKey& key, std::span<const float> values) {
  const size_t words = 2 * key.ids.size() + values.size();
  const int64_t bytes = bytes_of(words);
  if (bytes > state_->shard_bytes) return;

  Entry entry{.hash = hash_of(key),
              .model = key.model,
              .task = key.task,
              .ignores_exits = key.ignores_exits,
              .tokens = static_cast<int32_t>(key.ids.size()),
              .words = {}};
  entry.words.reserve(words);
  entry.words.insert(entry.words.end(), key.ids.begin(), key.ids.end());
  entry.words.insert(entry.words.end(), key.types.begin(), key.types.end());
  entry.words.resize(words);
  std::memcpy(&entry.words[2 * key.ids.size()], values.data(), values.size_bytes());

  Shard& shard = state_->shard_of(entry.hash);
  const std::lock_guard lock(shard.mutex);
  // The same, computed twice at the same time, or another of the same hash: the newer one stays.
  if (const auto old = shard.by_hash.find(entry.hash); old != shard.by_hash.end()) {
    shard.erase(old->second);
  }
  while (shard.bytes + bytes > state_->shard_bytes) shard.erase(std::prev(shard.entries.end()));
  shard.entries.push_front(std::move(entry));
  shard.by_hash.emplace(shard.entries.front().hash, shard.entries.begin());
  shard.bytes += bytes;
}

void ResponseCache::count(int64_t hits, int64_t misses) {
  state_->hits.fetch_add(hits, std::memory_order_relaxed);
  state_->misses.fetch_add(misses, std::memory_order_relaxed);
}

CacheCounts ResponseCache::counts() const {
  CacheCounts counts{.hits = state_->hits.load(std::memory_order_relaxed),
                     .misses = state_->misses.load(std::memory_order_relaxed)};
  for (Shard& shard : state_->shards) {
    const std::lock_guard lock(shard.mutex);
    counts.entries += static_cast<int64_t>(shard.entries.size());
    counts.bytes += shard.bytes;
  }
  return counts;
}

}  // namespace tilewise::engine
