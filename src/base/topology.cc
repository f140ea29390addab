#include "base/topology.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <hwloc.h>
#include <sched.h>

#include "base/cgroup.h"

namespace tilewise {
namespace {

struct FreeTopology {
  void operator()(hwloc_topology* topology) const { hwloc_topology_destroy(topology); }
};
using HwlocTopology = std::unique_ptr<hwloc_topology, FreeTopology>;

struct FreeBitmap {
  void operator()(hwloc_bitmap_s* bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<hwloc_bitmap_s, FreeBitmap>;

Status cannot_read_topology(int error) {
  return unavailable_machine({.what = "cannot read the processor's topology",
                              .where = "hwloc",
                              .found = errno_text(error),
                              .remedy = "Check that /sys and /proc are mounted and readable"});
}

Result<HwlocTopology> load_hwloc() {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return cannot_read_topology(errno);
  HwlocTopology topology(raw);
  // Also the cores that a container may not use, to report the machine's size.
  hwloc_topology_set_flags(raw, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
  if (hwloc_topology_load(raw) != 0) return cannot_read_topology(errno);
  return topology;
}

// The logical processors that this process may run on. The union over its threads: replicas that
// are already pinned must not narrow it.
Bitmap read_allowed_cpus(hwloc_topology_t topology) {
  Bitmap allowed(hwloc_bitmap_alloc());
  if (hwloc_get_cpubind(topology, allowed.get(), HWLOC_CPUBIND_PROCESS) != 0) {
    hwloc_bitmap_copy(allowed.get(), hwloc_topology_get_allowed_cpuset(topology));
  }
  return allowed;
}

// Some virtual machines do not describe cores; there each logical processor counts as one.
hwloc_obj_type_t core_type(hwloc_topology_t topology) {
  return hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
}

// Where the machine describes no L3 cache, cores share as much as their NUMA node.
int32_t last_level_cache(const hwloc_obj* core) {
  for (const hwloc_obj* object = core; object != nullptr; object = object->parent) {
    if (object->type == HWLOC_OBJ_L3CACHE) return static_cast<int32_t>(object->logical_index);
  }
  return std::max(hwloc_bitmap_first(core->nodeset), 0);
}

Core describe_core(const hwloc_obj* object, hwloc_const_bitmap_t allowed) {
  Core core;
  core.cpu = -1;
  for (int cpu = hwloc_bitmap_first(object->cpuset); cpu >= 0;
       cpu = hwloc_bitmap_next(object->cpuset, cpu)) {
    core.siblings.push_back(cpu);
    if (core.cpu < 0 && hwloc_bitmap_isset(allowed, static_cast<unsigned>(cpu))) core.cpu = cpu;
  }
  core.numa_node = std::max(hwloc_bitmap_first(object->nodeset), 0);
  core.l3 = last_level_cache(object);
  return core;
}

bool by_cpu(const Core& a, const Core& b) { return a.cpu < b.cpu; }

int64_t cache_bytes(hwloc_topology_t topology, hwloc_obj_type_t type) {
  const hwloc_obj* cache = hwloc_get_obj_by_type(topology, type, 0);
  return cache == nullptr ? 0 : static_cast<int64_t>(cache->attr->cache.size);
}

}  // namespace

int32_t Topology::default_replicas() const {
  auto replicas = static_cast<double>(cores.size());
  if (cgroup_cpus > 0) replicas = std::min(replicas, cgroup_cpus);
  return std::max(static_cast<int32_t>(replicas), 1);
}

std::vector<std::vector<int32_t>> choose_cpus(const Topology& topology, int32_t groups,
                                              int32_t cores_each) {
  std::vector<std::vector<int32_t>> chosen;
  std::vector<Core> left = topology.cores;
  using Place = std::pair<int32_t, int32_t>;
  constexpr Place (*kNearness[])(const Core&) = {
      [](const Core& core) { return Place(core.numa_node, core.l3); },
      [](const Core& core) { return Place(core.numa_node, 0); },
      [](const Core&) { return Place(0, 0); },
  };
  for (const auto place_of : kNearness) {
    std::map<Place, std::vector<Core>> places;
    for (Core& core : left) places[place_of(core)].push_back(std::move(core));
    left.clear();
    for (auto& [place, cores] : places) {
      size_t taken = 0;
      for (; static_cast<int32_t>(chosen.size()) < groups &&
             cores.size() - taken >= static_cast<size_t>(cores_each);
           taken += static_cast<size_t>(cores_each)) {
        std::vector<int32_t>& group = chosen.emplace_back();
        for (int32_t i = 0; i < cores_each; ++i) {
          group.push_back(cores[taken + static_cast<size_t>(i)].cpu);
        }
      }
      left.insert(left.end(), cores.begin() + static_cast<std::ptrdiff_t>(taken), cores.end());
    }
    std::sort(left.begin(), left.end(), by_cpu);
  }
  return chosen;
}

Result<Topology> read_topology() {
  TILEWISE_ASSIGN_OR_RETURN(const HwlocTopology hwloc, load_hwloc());
  const Bitmap allowed = read_allowed_cpus(hwloc.get());
  const hwloc_obj_type_t type = core_type(hwloc.get());

  Topology topology;
  for (hwloc_obj_t object = nullptr;
       (object = hwloc_get_next_obj_by_type(hwloc.get(), type, object)) != nullptr;) {
    Core core = describe_core(object, allowed.get());
    ++topology.machine_cores;
    topology.threads_per_core =
        std::max(topology.threads_per_core, static_cast<int32_t>(core.siblings.size()));
    if (core.cpu >= 0) topology.cores.push_back(std::move(core));
  }
  if (topology.cores.empty()) return cannot_read_topology(ENODEV);
  std::sort(topology.cores.begin(), topology.cores.end(), by_cpu);

  topology.numa_nodes = std::max(hwloc_get_nbobjs_by_type(hwloc.get(), HWLOC_OBJ_NUMANODE), 1);
  topology.l1d_bytes = cache_bytes(hwloc.get(), HWLOC_OBJ_L1CACHE);
  topology.l2_bytes = cache_bytes(hwloc.get(), HWLOC_OBJ_L2CACHE);
  topology.l3_bytes = cache_bytes(hwloc.get(), HWLOC_OBJ_L3CACHE);
  const CgroupLimits limits = read_cgroup_limits();
  topology.cgroup_cpus = limits.cpus;
  topology.cgroup_memory_bytes = limits.memory_bytes;
  return topology;
}

Status pin_current_thread(int32_t cpu) {
  const auto fail = [&](int error) {
    return unavailable_machine(
        {.what = "cannot pin a thread to a processor",
         .where = "logical processor " + std::to_string(cpu),
         .expected = "one that the process may run on",
         .found = errno_text(error),
         .remedy = "Run `tilewise devices` to see the allowed ones, or switch pinning off"});
  };
  constexpr int32_t kMostCpus = 1 << 20;
  if (cpu < 0 || cpu >= kMostCpus) return fail(EINVAL);
  const int count = cpu + 1;
  const size_t size = CPU_ALLOC_SIZE(count);
  const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(count),
                                                             [](cpu_set_t* s) { CPU_FREE(s); });
  if (set == nullptr) return fail(ENOMEM);
  CPU_ZERO_S(size, set.get());
  CPU_SET_S(static_cast<size_t>(cpu), size, set.get());
  return sched_setaffinity(0, size, set.get()) == 0 ? Status() : fail(errno);
}

}  // namespace tilewise
