// What the batcher is given and what it makes of it: requests as jobs, their sequences as works,
// and passes for replicas.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"
#include "runtime/pass_time.h"

namespace tilewise::runtime {

enum class Priority : uint8_t { interactive, bulk };

constexpr size_t index_of(Priority priority) { return static_cast<size_t>(priority); }

/// Works of one lane may share a pass: those of one loaded model. It must outlive its jobs and
/// passes. The batcher reads and corrects its `time` under its own lock.
struct Lane {
  PassTime time;

  std::array<int64_t, 2> waiting_jobs = {};  // the batcher's; by Priority
};

struct Job;

/// One sequence that waits for a pass. `tokens` is the caller's to set, the rest is the batcher's.
struct Work {
  int32_t tokens = 0;
  Job* job = nullptr;
};

/// The sequences of one request, admitted or refused together. The caller owns it and its works and
/// leaves both where they are from submit() until the batcher has handed the job back.
struct Job {
  Lane* lane = nullptr;
  Priority priority = Priority::interactive;
  Time deadline = Time::max();
  std::span<Work> works;  ///< at least one

  /// Set when the job is handed back.
  enum class End : uint8_t { answered, expired, cancelled } end = End::answered;
  Time started;  ///< of the first pass; as `submitted` where there was none
  Time submitted;

  // The rest is the batcher's.
  bool is_waiting = false;       // some of its works are in no pass yet
  int32_t taken = 0;             // works that went into passes: they go in their order
  int32_t unfinished = 0;        // works that wait or are in a pass
  double predicted_seconds = 0;  // of the works that wait, with their share of passes' fixed cost
  double work_seconds = 0;       // the same without it
  double least_seconds = 0;      // a pass of its longest work alone
  double room_seconds = 0;       // the time that admission left for its last pass

  /// Its place in a DeadlineQueue.
  struct Place {
    Job* previous = nullptr;
    Job* next = nullptr;
    Job* left = nullptr;
    Job* right = nullptr;
    uint64_t arrival = 0;
    uint32_t height = 0;
    double latest = 0;
    double sum = 0;    // of predicted_seconds, in the tree below
    double slack = 0;  // the smallest in the tree below, if nothing waited before it
  } place;
};

/// What a replica is to run, all of one lane, in the order of their deadlines. Reused from one pass
/// to the next.
struct Pass {
  Lane* lane = nullptr;
  std::vector<Work*> works;
  PassShape shape;
  double predicted_seconds = 0;
  /// The runner's: of the layers, how many the tokens went through on average. 1: full depth.
  double depth = 1;
  Time started;
  std::vector<Job*> ended;  ///< handed back without (further) work: expired
};

}  // namespace tilewise::runtime
