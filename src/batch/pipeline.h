// Reader -> replicas -> writer, in the order of the input: the calling thread reads and writes, the
// replicas' threads do the rest, and what is on the way between them is bounded.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <vector>

#include "base/status.h"
#include "batch/chunk.h"
#include "engine/engine.h"

namespace tilewise::batch {

/// For each replica one that is worked on and one that waits, so that it never waits for the
/// reader; and one that is being filled or emptied.
constexpr int32_t chunks_of(int32_t replicas) { return 2 * replicas + 1; }

/// A ring of chunks. Not thread-safe: one thread fills and empties it.
class Pipeline {
 public:
  Pipeline(engine::Engine& engine, const Question& question);

  /// Waits for all that is on the way.
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  bool is_full() const { return free_.empty(); }
  bool is_empty() const { return on_the_way_.empty(); }

  /// A chunk to fill; only when not full. It stays this one until submit().
  Chunk& next();
  void submit();

  /// Waits for the oldest chunk; only when not empty. It is valid until the next call of submit()
  /// or take().
  Chunk& take();

 private:
  struct Running {
    Chunk* chunk;
    std::future<void> done;
  };

  engine::Engine& engine_;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<Chunk*> free_;
  std::deque<Running> on_the_way_;
};

}  // namespace tilewise::batch
