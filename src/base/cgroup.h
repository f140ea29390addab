// The limits that Linux control groups put on this process.
#pragma once

#include <cstdint>
#include <string>

namespace tilewise {

struct CgroupLimits {
  double cpus = 0;  ///< CPU quota, the tightest from the process's group up to the root; 0: none
  int64_t memory_bytes = 0;  ///< likewise; 0: none
};

/// Reads version 2 and version 1 hierarchies through /proc/self/cgroup and /proc/self/mountinfo.
/// What cannot be read is no limit. `root` stands before every path, so that tests bring their own
/// file tree.
CgroupLimits read_cgroup_limits(const std::string& root = "");

}  // namespace tilewise
