#include "runtime/team.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include "base/thread_limit_fixture.h"
#include "base/topology.h"

namespace tilewise::runtime {
namespace {

std::unique_ptr<Team> team_of(int32_t size, std::span<const int32_t> cpus = {}) {
  auto team = Team::create(size, cpus);
  EXPECT_TRUE(team.ok()) << team.status().message();
  return team.ok() ? *std::move(team) : nullptr;
}

// More members than any machine of today's tests has cores, too.
class TeamOf : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Sizes, TeamOf, testing::Values(1, 2, 3, 5, 8),
                         testing::PrintToStringParamName());

TEST_P(TeamOf, EveryMemberRunsOnceAndTheRunEndsAfterAll) {
  const auto team = team_of(GetParam());
  EXPECT_EQ(team->size(), GetParam());
  std::vector<int> calls(GetParam());
  std::vector<std::thread::id> threads(GetParam());
  for (int run = 1; run <= 300; ++run) {
    team->run([&](const Member& me) {
      ++calls[me.index()];
      threads[me.index()] = std::this_thread::get_id();
    });
    for (const int count : calls) ASSERT_EQ(count, run);
  }
  EXPECT_EQ(threads[0], std::this_thread::get_id());
  std::sort(threads.begin(), threads.end());
  EXPECT_EQ(std::adjacent_find(threads.begin(), threads.end()), threads.end());
}

// A chain of sums, in which each step reads what all wrote in the step before: one that is missed
// or comes too early changes the end.
TEST_P(TeamOf, WhatAllWroteIsThereAfterAWait) {
  const int size = GetParam();
  const auto team = team_of(size);
  constexpr int kSteps = 400;
  std::array<std::vector<uint64_t>, 2> values = {std::vector<uint64_t>(size, 1),
                                                 std::vector<uint64_t>(size)};
  std::vector<uint64_t> expected = values[0];
  for (int step = 0; step < 3 * kSteps; ++step) {
    const uint64_t sum = std::accumulate(expected.begin(), expected.end(), uint64_t{0});
    for (int i = 0; i < size; ++i) expected[i] = sum * 31 + i;
  }
  for (int run = 0; run < 3; ++run) {
    team->run([&](const Member& me) {
      for (int step = 0; step < kSteps; ++step) {
        const auto& from = values[step % 2];
        const uint64_t sum = std::accumulate(from.begin(), from.end(), uint64_t{0});
        values[(step + 1) % 2][me.index()] = sum * 31 + me.index();
        me.wait();
      }
    });
  }
  EXPECT_EQ(values[0], expected);
}

TEST_P(TeamOf, SharesCoverEverythingOnceAndAreNearEqual) {
  const int size = GetParam();
  const auto team = team_of(size);
  for (const int grain : {1, 4}) {
    for (const int count : {0, 1, 3, 4, 5, 12, 36, 97}) {
      std::vector<Range> shares(size);
      team->run([&](const Member& me) { shares[me.index()] = me.share(count, grain); });
      int end = 0;
      int least = count, most = 0;
      for (const Range& share : shares) {
        EXPECT_EQ(share.first, end);
        end = share.last;
        EXPECT_TRUE(share.first % grain == 0 || share.count() == 0);
        least = std::min(least, share.count());
        most = std::max(most, share.count());
      }
      EXPECT_EQ(end, count);
      EXPECT_LT(most - least, 2 * grain) << count << " in pieces of " << grain;
    }
  }
}

/// Threads of this process, but the caller, that are running or ready to run.
int awake_threads() {
  int awake = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == std::to_string(gettid())) continue;
    std::ifstream stat(task.path() / "stat");
    const std::string text{std::istreambuf_iterator<char>(stat), {}};
    const size_t name_end = text.rfind(')');  // the state is the next word, see proc(5)
    if (name_end + 2 < text.size() && text[name_end + 2] == 'R') ++awake;
  }
  return awake;
}

TEST_P(TeamOf, MembersSleepBetweenRuns) {
  const auto team = team_of(GetParam());
  team->run([](const Member&) {});
  // A member that never sleeps keeps this from ending.
  while (awake_threads() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  // And they wake up again.
  std::vector<int> calls(GetParam());
  team->run([&](const Member& me) { ++calls[me.index()]; });
  EXPECT_EQ(calls, std::vector<int>(GetParam(), 1));
}

TEST_P(TeamOf, RunsFromOtherThreadsOneAfterTheOther) {
  const auto team = team_of(GetParam());
  int64_t sum = 0;
  for (int i = 0; i < 5; ++i) {
    std::thread([&] {
      team->run([&](const Member& me) {
        if (me.is_first()) ++sum;
        me.wait();
      });
    }).join();
  }
  EXPECT_EQ(sum, 5);
}

TEST(Team, MembersRunWhereTheyWerePinned) {
  const Result<Topology> topology = read_topology();
  ASSERT_TRUE(topology.ok()) << topology.status().message();
  if (topology->cores.size() < 2) GTEST_SKIP() << "one core is not enough to tell";
  const std::vector<int32_t> cpus = {topology->cores[1].cpu, topology->cores[0].cpu,
                                     topology->cores[1].cpu};
  const auto team = team_of(3, cpus);
  std::vector<int32_t> seen(3);
  team->run([&](const Member& me) { seen[me.index()] = sched_getcpu(); });
  EXPECT_EQ(seen[1], cpus[1]);
  EXPECT_EQ(seen[2], cpus[2]);
}

TEST(Team, WithoutThreadsThereIsAReason) {
  const std::optional<int> result = without_threads([] {
    const auto team = Team::create(3);
    if (team.ok()) return 1;
    const std::string said = team.status().message();
    const bool names_flag = said.find("--cores-per-replica 3") != std::string::npos;
    return team.status().code() == StatusCode::unavailable_machine && names_flag ? 0 : 2;
  });
  if (!result) GTEST_SKIP() << "the number of threads cannot be limited here";
  EXPECT_EQ(*result, 0);
}

TEST(Team, EndsWithoutEverRunning) { EXPECT_EQ(team_of(4)->size(), 4); }

}  // namespace
}  // namespace tilewise::runtime
