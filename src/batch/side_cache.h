// Records that came a moment ago come again: each is rendered and tokenized once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"
#include "model/row.h"
#include "model/task.h"

namespace tilewise::batch {

/// The token ids of the sides of pairs that were seen last, of one task set. Bounded, forgetful,
/// not thread-safe.
class SideCache {
 public:
  explicit SideCache(const model::Task& task);

  /// As Worker::add() of the pair. Errors: as there.
  Status add(const model::PairInput& pair, engine::Worker& worker);

 private:
  /// Where a side's ids lie in ids_.
  struct Entry {
    engine::Key content;  // hash of what the side says
    uint32_t first = 0;
    uint32_t count = 0;
    int64_t tokens = -1;  // negative: empty
  };

  Result<Entry> find_or_encode(const model::Content& content, engine::Worker& worker);
  engine::Key hash(const model::Content& content);
  engine::Side side(const Entry& entry) const {
    return {.ids = std::span(ids_).subspan(entry.first, entry.count), .tokens = entry.tokens};
  }
  void forget();

  const model::Task* task_;
  std::vector<Entry> entries_;  // by hash; a newer one takes the place of an older
  std::vector<int32_t> ids_;
  std::string bytes_;
};

}  // namespace tilewise::batch
