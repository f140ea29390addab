// Which cores this process may use, and how many replicas fit: hardware, cpuset and cgroup quota together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace tilewise {

/// One physical core that the process may run on.
struct Core {
  int32_t cpu = 0;                ///< the logical processor (Linux number) to pin to: the core's first allowed thread
  std::vector<int32_t> siblings;  ///< all its logical processors, allowed or not
  int32_t numa_node = 0;
  int32_t l3 = 0;  ///< cores of the same number share a last-level cache; the machine's own count
};

struct Topology {
  std::vector<Core> cores;   ///< allowed by the affinity mask (cpuset), in order of `cpu`
  int32_t machine_cores = 0; ///< physical cores of the machine
  int32_t threads_per_core = 1;
  int32_t numa_nodes = 1;
  int64_t l1d_bytes = 0, l2_bytes = 0, l3_bytes = 0;  ///< of one instance; 0 where unknown
  double cgroup_cpus = 0;    ///< CPU quota of the cgroup (v2 cpu.max, v1 cfs_quota), the tightest on the way up; 0: none
  int64_t cgroup_memory_bytes = 0;  ///< memory limit; 0: none

  /// One replica a core of the cpuset, but no more than the quota allows (rounded down, at least 1).
  int32_t default_replicas() const;
};

/// The processors of `groups` groups of `cores_each` cores, near each other: of one last-level cache
/// where there are enough, else of one NUMA node, else any, each core in one group. Fewer groups
/// where there are not enough cores. A pure function.
std::vector<std::vector<int32_t>> choose_cpus(const Topology& topology, int32_t groups,
                                              int32_t cores_each);

/// Reads hwloc, the affinity mask and the cgroup files.
Result<Topology> read_topology();

/// Parses the text of a cgroup v2 cpu.max file ("max 100000", "150000 100000") into CPUs; 0: no limit. For tests.
double parse_cpu_max(const std::string& text);

/// Pins the calling thread to one logical processor.
Status pin_current_thread(int32_t cpu);

}  // namespace tilewise
