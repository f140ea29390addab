#include "base/topology.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tilewise {
namespace {

std::vector<int> affinity_of_this_thread() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

// Like `taskset --all-tasks`: also the background threads that a sanitizer has.
bool pin_whole_process(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (sched_setaffinity(std::stoi(task.path().filename()), sizeof(set), &set) != 0) return false;
  }
  return true;
}

// The exit status of `body` in a process of its own.
int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Topology with(size_t cores, double quota) {
  Topology topology;
  topology.cores.resize(cores);
  topology.cgroup_cpus = quota;
  return topology;
}

TEST(DefaultReplicas, OneACoreWithinTheQuota) {
  EXPECT_EQ(with(8, 0).default_replicas(), 8);
  EXPECT_EQ(with(8, 16).default_replicas(), 8);
  EXPECT_EQ(with(8, 4).default_replicas(), 4);
  EXPECT_EQ(with(8, 3.9).default_replicas(), 3);
  EXPECT_EQ(with(8, 1.5).default_replicas(), 1);
}

TEST(DefaultReplicas, AtLeastOne) {
  EXPECT_EQ(with(8, 0.25).default_replicas(), 1);
  EXPECT_EQ(with(0, 0).default_replicas(), 1);
}

// Compared with what the kernel says in /sys, which names a core's threads in a list of its own.
TEST(ReadTopology, CoresAreThoseOfTheAffinityMask) {
  std::set<std::string> cores;
  for (const int cpu : affinity_of_this_thread()) {
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                       "/topology/thread_siblings_list");
    std::string siblings;
    if (!std::getline(file, siblings)) GTEST_SKIP() << "/sys has no topology of processor " << cpu;
    cores.insert(siblings);
  }
  const Result<Topology> topology = read_topology();
  ASSERT_TRUE(topology.ok()) << topology.status().message();
  EXPECT_EQ(topology->cores.size(), cores.size());
  EXPECT_GE(topology->machine_cores, static_cast<int32_t>(cores.size()));
}

/// Cores of the logical processors 0, 1, ..., with these places.
Topology machine_of(const std::vector<std::pair<int32_t, int32_t>>& numa_and_l3) {
  Topology topology;
  for (const auto& [numa, l3] : numa_and_l3) {
    Core core;
    core.cpu = static_cast<int32_t>(topology.cores.size());
    core.numa_node = numa;
    core.l3 = l3;
    topology.cores.push_back(core);
  }
  return topology;
}

using Groups = std::vector<std::vector<int32_t>>;

TEST(ChooseCpus, SingleCoresComeInOrder) {
  const Topology machine = machine_of({{0, 0}, {0, 0}, {0, 0}, {0, 0}});
  EXPECT_EQ(choose_cpus(machine, 3, 1), (Groups{{0}, {1}, {2}}));
}

TEST(ChooseCpus, AGroupSharesACache) {
  // Two caches of three cores on each of two nodes.
  const Topology machine = machine_of({{0, 0}, {0, 0}, {0, 0}, {0, 1}, {0, 1}, {0, 1},
                                       {1, 2}, {1, 2}, {1, 2}, {1, 3}, {1, 3}, {1, 3}});
  EXPECT_EQ(choose_cpus(machine, 4, 3), (Groups{{0, 1, 2}, {3, 4, 5}, {6, 7, 8}, {9, 10, 11}}));
  EXPECT_EQ(choose_cpus(machine, 1, 2), (Groups{{0, 1}}));
  // Then what is left of the caches of a node, then anything.
  EXPECT_EQ(choose_cpus(machine, 6, 2),
            (Groups{{0, 1}, {3, 4}, {6, 7}, {9, 10}, {2, 5}, {8, 11}}));
  EXPECT_EQ(choose_cpus(machine, 3, 4), (Groups{{0, 1, 2, 3}, {6, 7, 8, 9}, {4, 5, 10, 11}}));
}

TEST(ChooseCpus, NeighboursMayLieApartByNumber) {
  // Linux numbers some machines round robin over the nodes.
  const Topology machine = machine_of({{0, 0}, {1, 1}, {0, 0}, {1, 1}});
  EXPECT_EQ(choose_cpus(machine, 2, 2), (Groups{{0, 2}, {1, 3}}));
}

TEST(ChooseCpus, GivesAsManyGroupsAsThereAre) {
  const Topology machine = machine_of({{0, 0}, {0, 0}, {0, 0}});
  EXPECT_EQ(choose_cpus(machine, 2, 2), (Groups{{0, 1}}));
  EXPECT_EQ(choose_cpus(machine, 1, 4), Groups());
}

TEST(ReadTopology, EachCoreIsPinnedToAnAllowedThreadOfItsOwn) {
  const Result<Topology> topology = read_topology();
  ASSERT_TRUE(topology.ok()) << topology.status().message();
  const std::vector<int> allowed = affinity_of_this_thread();
  int32_t previous = -1;
  for (const Core& core : topology->cores) {
    EXPECT_GT(core.cpu, previous);  // in order, none twice
    previous = core.cpu;
    EXPECT_EQ(std::count(allowed.begin(), allowed.end(), core.cpu), 1);
    EXPECT_EQ(std::count(core.siblings.begin(), core.siblings.end(), core.cpu), 1);
    EXPECT_LE(core.siblings.size(), static_cast<size_t>(topology->threads_per_core));
    EXPECT_GE(core.numa_node, 0);
  }
  EXPECT_GE(topology->numa_nodes, 1);
}

TEST(ReadTopology, FollowsANarrowedMask) {
  const std::vector<int> allowed = affinity_of_this_thread();
  ASSERT_FALSE(allowed.empty());
  const int last = allowed.back();
  const int status = in_child([&] {
    if (!pin_whole_process(last)) return 10;
    const Result<Topology> topology = read_topology();
    if (!topology.ok()) return 11;
    if (topology->cores.size() != 1) return 12;
    if (topology->cores[0].cpu != last) return 13;
    return topology->default_replicas() == 1 ? 0 : 14;
  });
  EXPECT_EQ(status, 0);
}

TEST(ReadTopology, PinnedReplicasDoNotNarrowIt) {
  const Result<Topology> before = read_topology();
  ASSERT_TRUE(before.ok());
  size_t cores_seen_by_replica = 0;
  std::thread replica([&] {
    if (!pin_current_thread(before->cores[0].cpu).ok()) return;
    const Result<Topology> during = read_topology();
    if (during.ok()) cores_seen_by_replica = during->cores.size();
  });
  replica.join();
  EXPECT_EQ(cores_seen_by_replica, before->cores.size());
}

TEST(PinCurrentThread, RunsThereAndOnlyThere) {
  for (const int cpu : affinity_of_this_thread()) {
    std::thread thread([cpu] {
      const Status status = pin_current_thread(cpu);
      EXPECT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(sched_getcpu(), cpu);
      EXPECT_EQ(affinity_of_this_thread(), std::vector{cpu});
    });
    thread.join();
  }
}

TEST(PinCurrentThread, RefusesWhatThereIsNot) {
  for (const int cpu : {-1, 100000, 1 << 30}) {
    const Status status = pin_current_thread(cpu);
    EXPECT_EQ(status.code(), StatusCode::unavailable_machine);
    EXPECT_EQ(status.problem().where, "logical processor " + std::to_string(cpu));
    EXPECT_FALSE(status.problem().remedy.empty());
  }
}

}  // namespace
}  // namespace tilewise
