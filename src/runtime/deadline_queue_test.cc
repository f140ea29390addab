#include "runtime/deadline_queue.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace tilewise::runtime {
namespace {

constexpr double kStretch = 0.5;

Time at(int milliseconds) { return Time(std::chrono::milliseconds(milliseconds)); }

struct Entry {
  Job job;
  double latest = 0;
};

using Entries = std::vector<Entry*>;  // in the order in which the queue should have them

DeadlineQueue::Gap expected_gap(const Entries& entries, Time deadline) {
  DeadlineQueue::Gap gap{.before = 0, .slack = std::numeric_limits<double>::infinity()};
  double before = 0;
  for (const Entry* entry : entries) {
    if (entry->job.deadline <= deadline) {
      gap.before += entry->job.predicted_seconds;
    } else {
      gap.slack = std::min(gap.slack, entry->latest - before * kStretch);
    }
    before += entry->job.predicted_seconds;
  }
  return gap;
}

void check(const DeadlineQueue& queue, const Entries& entries) {
  ASSERT_EQ(queue.is_empty(), entries.empty());
  const Job* job = queue.front();
  double sum = 0;
  for (const Entry* entry : entries) {
    ASSERT_EQ(job, &entry->job);
    ASSERT_TRUE(job->is_waiting);
    sum += job->predicted_seconds;
    if (entry == entries.back()) {
      ASSERT_EQ(queue.back(), job);
    }
    job = job->place.next;
  }
  ASSERT_EQ(job, nullptr);
  // All numbers are multiples of 1/4 below 2^20: sums are exact.
  ASSERT_EQ(queue.seconds(), sum);
  ASSERT_EQ(queue.slack(), expected_gap(entries, Time::min()).slack);
  for (int i = -1; i <= 21; ++i) {
    const DeadlineQueue::Gap gap = queue.gap_at(at(i));
    const DeadlineQueue::Gap expected = expected_gap(entries, at(i));
    ASSERT_EQ(gap.before, expected.before) << i;
    ASSERT_EQ(gap.slack, expected.slack) << i;
  }
}

// Against a sorted vector, where every question is a loop.
TEST(DeadlineQueue, AgreesWithASortedList) {
  std::mt19937 random(7);
  DeadlineQueue queue(kStretch);
  std::vector<std::unique_ptr<Entry>> owned;
  Entries entries;
  const auto some = [&](int count) { return static_cast<int>(random() % count); };
  for (int step = 0; step < 3000; ++step) {
    const int what = some(10);
    // Grows to hundreds, and is emptied again and again.
    const bool is_growing = step / 400 % 2 == 0;
    if (what < (is_growing ? 6 : 3)) {
      Entry& entry = *owned.emplace_back(std::make_unique<Entry>());
      entry.job.deadline = at(some(20));
      entry.job.predicted_seconds = some(64) / 4.0;
      entry.latest = some(1000) / 4.0;
      queue.insert(entry.job, entry.latest);
      const auto after = std::upper_bound(
          entries.begin(), entries.end(), entry.job.deadline,
          [](Time deadline, const Entry* other) { return deadline < other->job.deadline; });
      entries.insert(after, &entry);
    } else if (!entries.empty()) {
      const auto entry = entries.begin() + (what < 8 ? some(static_cast<int>(entries.size())) : 0);
      if (what == 7) {
        queue.change((*entry)->job, some(64) / 4.0);
      } else {
        queue.erase((*entry)->job);
        ASSERT_FALSE((*entry)->job.is_waiting);
        entries.erase(entry);
      }
    }
    check(queue, entries);
    if (HasFatalFailure()) return;
  }
  while (!entries.empty()) {
    queue.erase(entries.back()->job);
    entries.pop_back();
    check(queue, entries);
  }
}

TEST(DeadlineQueue, StaysShallowWhateverTheOrder) {
  for (const int direction : {0, 1, -1}) {
    DeadlineQueue queue(kStretch);
    std::vector<Job> jobs(20000);
    for (int i = 0; i < 20000; ++i) {
      jobs[static_cast<size_t>(i)].deadline = at(direction * i);
      queue.insert(jobs[static_cast<size_t>(i)], 0);
    }
    const auto depth = [](auto&& self, const Job* job) -> int {
      if (job == nullptr) return 0;
      return 1 + std::max(self(self, job->place.left), self(self, job->place.right));
    };
    const Job& root = *std::max_element(jobs.begin(), jobs.end(), [](const Job& a, const Job& b) {
      return a.place.height < b.place.height;
    });
    const int deepest = depth(depth, &root);
    // A random tree of n nodes is some 2 ln n = 20 deep on average and 4.3 ln n = 43 in all.
    EXPECT_GT(deepest, 14);
    EXPECT_LT(deepest, 60);
  }
}

}  // namespace
}  // namespace tilewise::runtime
