#include "engine/placement.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/topology.h"

namespace tilewise::engine {
namespace {

/// The processors of each replica's threads; empty when they cannot be had (then nothing is
/// pinned).
std::vector<std::vector<int32_t>> cpus_of_replicas(const Options& options, const Topology& topology,
                                                   int32_t replicas) {
  const int32_t each = options.cores_per_replica;
  if (!options.pin || topology.cores.empty()) return {};
  auto cpus = choose_cpus(topology, replicas, each);
  if (static_cast<int32_t>(cpus.size()) == replicas) return cpus;
  std::string wanted = std::to_string(replicas) + (replicas == 1 ? " replica" : " replicas");
  if (each > 1) wanted += " of " + std::to_string(each) + " cores";
  log_warn(wanted + " on " + std::to_string(topology.cores.size()) + " cores: nothing is pinned");
  return {};
}

/// The members of a team wait for each other spinning: without a core for each it would be slower
/// than one core alone.
Status check_cores_per_replica(int32_t cores, const Topology& topology) {
  if (cores < 1) {
    return invalid_argument({.what = "a replica needs a core",
                             .where = "--cores-per-replica",
                             .expected = "1 or more",
                             .found = std::to_string(cores)});
  }
  if (topology.cores.empty() || cores <= topology.default_replicas()) return {};
  std::string limit = "of its cpuset";
  if (topology.default_replicas() < static_cast<int32_t>(topology.cores.size())) {
    limit = "of its cgroup's CPU quota";
  } else if (static_cast<int32_t>(topology.cores.size()) == topology.machine_cores) {
    limit = "that this machine has";
  }
  return unavailable_machine(
      {.what = "a replica cannot have so many cores",
       .where = "--cores-per-replica",
       .expected = "at most the " + std::to_string(topology.default_replicas()) + " " + limit,
       .found = std::to_string(cores),
       .remedy = "Run `tilewise devices` to see what this process may use"});
}

Topology topology_or_default() {
  auto topology = read_topology();
  if (topology.ok()) return *std::move(topology);
  log_warn("cannot read the core topology, replicas are not pinned: " +
           topology.status().message());
  Topology unknown;
  unknown.cores.clear();
  return unknown;
}

}  // namespace

void Placement::pin(int32_t replica) const {
  if (cpus.empty()) return;
  if (const Status pinned = pin_current_thread(cpus[replica].front()); !pinned.ok()) {
    log_warn(pinned.message());
  }
}

Result<Placement> place_replicas(const Options& options) {
  const Topology topology = topology_or_default();
  TILEWISE_RETURN_IF_ERROR(check_cores_per_replica(options.cores_per_replica, topology));
  Placement placement;
  placement.cores_per_replica = options.cores_per_replica;
  placement.replicas = options.replicas > 0
                           ? options.replicas
                           : topology.default_replicas() / options.cores_per_replica;
  placement.replicas = std::max(placement.replicas, 1);
  placement.cpus = cpus_of_replicas(options, topology, placement.replicas);
  return placement;
}

Status no_threads(const Placement& placement, const std::string& reason) {
  return unavailable_machine({.what = "cannot start the threads of the replicas",
                              .where = "--replicas " + std::to_string(placement.replicas),
                              .found = reason,
                              .remedy = "Use fewer replicas, or raise the limit of threads"});
}

}  // namespace tilewise::engine
