// Several threads that go through one pass together, each on a core of its own: one request is done
// sooner.
//
// All members run the same program, each on its share of every operation, and wait for each other
// between operations. During a pass a member that waits spins, for the wait is shorter than a
// sleep; between passes the threads sleep.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/status.h"

namespace tilewise::runtime {

class Team;

/// The numbers from first to before last.
struct Range {
  int32_t first = 0;
  int32_t last = 0;

  int32_t count() const { return last - first; }
  bool operator==(const Range&) const = default;
};

/// One thread of a team, in a run of it.
class Member {
 public:
  int32_t index() const { return index_; }
  bool is_first() const { return index_ == 0; }
  int32_t team_size() const;

  /// Returns when every member has called it as often as this one. What they wrote before can then
  /// be read.
  void wait() const;

  /// This member's part of [0, count). The parts of all members are near-equal, in order, and begin
  /// at multiples of `grain`: a member gets nothing rather than less than that.
  Range share(int32_t count, int32_t grain = 1) const;

 private:
  friend class Team;
  Member(Team& team, int32_t index) : team_(&team), index_(index) {}

  Team* team_;
  int32_t index_;
};

/// run() belongs to one thread at a time.
class Team {
 public:
  /// Starts size - 1 threads; the thread that calls run() is the first member. `cpus`: the logical
  /// processor of each member, of which the first is the caller's own business; empty: none is
  /// pinned. Errors: unavailable_machine when no more threads can be had.
  static Result<std::unique_ptr<Team>> create(int32_t size, std::span<const int32_t> cpus = {});

  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int32_t size() const { return size_; }

  /// Calls program(member) once on every member, at the same time, and returns when all have
  /// returned. It must not throw. Allocates and locks nothing.
  template <class Program>
  void run(Program&& program) {
    program_ = &program;
    call_ = [](void* target, const Member& member) {
      (*static_cast<std::remove_reference_t<Program>*>(target))(member);
    };
    run_program();
  }

 private:
  friend class Member;

  /// How many waits a member has come to. Apart, so that each has its own cache lines.
  struct alignas(128) Arrivals {
    std::atomic<uint32_t> count = 0;
  };

  explicit Team(int32_t size);
  void run_program();
  void serve(int32_t index, int32_t cpu);
  void wait(int32_t index);

  const int32_t size_;
  std::unique_ptr<Arrivals[]> arrivals_;
  alignas(128) std::atomic<uint32_t> runs_ = 0;  // changes when a run begins, and when all ends
  std::atomic<bool> is_closing_ = false;
  void* program_ = nullptr;
  void (*call_)(void*, const Member&) = nullptr;
  std::vector<std::thread> threads_;
};

}  // namespace tilewise::runtime
