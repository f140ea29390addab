// Answers that were given before: query streams repeat.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "engine/service.h"
#include "text/input.h"

namespace tilewise::engine {

/// One sequence asked of one task of one loaded model. A view.
struct CacheKey {
  uint64_t model = 0;
  int32_t task = 0;
  bool ignores_exits = false;  ///< of the task, which has some
  std::span<const int32_t> ids = {};
  std::span<const int32_t> types = {};
};

/// Of one sequence of `packed`; without its tokens the key is `of`.
CacheKey sequence_key(CacheKey of, const text::PackedTokens& packed, int32_t sequence);

/// Raw outputs by what was asked, which is compared as a whole. Bounded by bytes; when it is full,
/// what was not asked for the longest time goes. Thread-safe: shards with a lock each.
class ResponseCache {
 public:
  explicit ResponseCache(int64_t bytes);
  ~ResponseCache();

  /// Copies the outputs into `values` if they are there and as many. Does not count.
  bool find(const CacheKey& key, std::span<float> values);
  void insert(const CacheKey& key, std::span<const float> values);

  /// An input was answered from here, or had to be computed.
  void count(int64_t hits, int64_t misses);
  CacheCounts counts() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::engine
