#include "base/cgroup.h"

#include <gtest/gtest.h>

#include "base/temporary_folder.h"
#include "base/topology.h"

namespace tilewise {
namespace {

// File contents as the kernel's documents and real machines show them (cgroups(7), proc(5),
// admin-guide/cgroup-v2).
constexpr char kMountV2[] =
    "24 30 0:22 / /proc rw,nosuid - proc proc rw\n"
    "35 25 0:30 / /sys/fs/cgroup ro,nosuid shared:9 master:4 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr int64_t kGiB = int64_t{1} << 30;

TEST(ParseCpuMax, QuotaOverPeriod) {
  EXPECT_EQ(parse_cpu_max("150000 100000\n"), 1.5);
  EXPECT_EQ(parse_cpu_max("400000 100000"), 4);
  EXPECT_EQ(parse_cpu_max("5000 10000\n"), 0.5);
}

TEST(ParseCpuMax, NoLimit) {
  for (const char* text :
       {"max 100000\n", "", "\n", "max", "100000", "x y", "100000 0\n", "-1 100000\n", " ",
        "99999999999999999999 100000\n", "100000 100000x\n"}) {
    EXPECT_EQ(parse_cpu_max(text), 0) << text;
  }
}

TEST(CgroupLimits, NoneWithoutCgroups) {
  const TemporaryFolder root;
  EXPECT_EQ(read_cgroup_limits(root.path()).cpus, 0);
  EXPECT_EQ(read_cgroup_limits(root.path()).memory_bytes, 0);
}

TEST(CgroupLimits, ContainerWithItsOwnNamespace) {
  const TemporaryFolder root;
  root.write("proc/self/cgroup", "0::/\n");
  root.write("proc/self/mountinfo", kMountV2);
  root.write("sys/fs/cgroup/cpu.max", "250000 100000\n");
  root.write("sys/fs/cgroup/memory.max", "2147483648\n");
  const CgroupLimits limits = read_cgroup_limits(root.path());
  EXPECT_EQ(limits.cpus, 2.5);
  EXPECT_EQ(limits.memory_bytes, 2 * kGiB);
}

TEST(CgroupLimits, TheTightestOnTheWayUp) {
  const TemporaryFolder root;
  root.write("proc/self/cgroup", "0::/user.slice/user-1000.slice/app.scope\n");
  root.write("proc/self/mountinfo", kMountV2);
  root.write("sys/fs/cgroup/user.slice/cpu.max", "800000 100000\n");
  root.write("sys/fs/cgroup/user.slice/memory.max", "max\n");
  root.write("sys/fs/cgroup/user.slice/user-1000.slice/cpu.max", "300000 100000\n");
  root.write("sys/fs/cgroup/user.slice/user-1000.slice/memory.max", "1073741824\n");
  root.write("sys/fs/cgroup/user.slice/user-1000.slice/app.scope/cpu.max", "max 100000\n");
  root.write("sys/fs/cgroup/user.slice/user-1000.slice/app.scope/memory.max", "4294967296\n");
  const CgroupLimits limits = read_cgroup_limits(root.path());
  EXPECT_EQ(limits.cpus, 3);
  EXPECT_EQ(limits.memory_bytes, kGiB);
}

TEST(CgroupLimits, Unlimited) {
  const TemporaryFolder root;
  root.write("proc/self/cgroup", "0::/app\n");
  root.write("proc/self/mountinfo", kMountV2);
  root.write("sys/fs/cgroup/app/cpu.max", "max 100000\n");
  root.write("sys/fs/cgroup/app/memory.max", "max\n");
  EXPECT_EQ(read_cgroup_limits(root.path()).cpus, 0);
  EXPECT_EQ(read_cgroup_limits(root.path()).memory_bytes, 0);
}

TEST(CgroupLimits, GroupAboveTheNamespace) {
  const TemporaryFolder root;
  root.write("proc/self/cgroup", "0::/../other\n");
  root.write("proc/self/mountinfo", kMountV2);
  root.write("sys/fs/cgroup/cpu.max", "100000 100000\n");
  EXPECT_EQ(read_cgroup_limits(root.path()).cpus, 1);
}

// Version 1 in a container without a cgroup namespace: the group's path is the host's, the mount
// shows only its end.
TEST(CgroupLimits, VersionOneContainer) {
  const TemporaryFolder root;
  root.write("proc/self/cgroup",
             "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/docker/abc\n");
  root.write("proc/self/mountinfo",
             "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
             "33 31 0:30 /docker/abc /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset\n"
             "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
             "34 31 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "600000\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  root.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n");
  const CgroupLimits limits = read_cgroup_limits(root.path());
  EXPECT_EQ(limits.cpus, 6);
  EXPECT_EQ(limits.memory_bytes, kGiB / 2);
}

TEST(CgroupLimits, VersionOneUnlimited) {
  const TemporaryFolder root;
  root.write("proc/self/cgroup", "4:memory:/a/b\n1:cpu:/\n0::/\n");
  root.write("proc/self/mountinfo",
             "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
             "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n");
  root.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  root.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  root.write("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(read_cgroup_limits(root.path()).cpus, 0);
  EXPECT_EQ(read_cgroup_limits(root.path()).memory_bytes, 0);
}

TEST(CgroupLimits, BrokenFilesAreNoLimit) {
  const TemporaryFolder root;
  root.write("proc/self/cgroup", "nonsense\n0:\n:::\n\n0::no-slash\n");
  root.write("proc/self/mountinfo",
             "1 2 3\n - \n35 25 0:30 / /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
  root.write("sys/fs/cgroup/cpu.max", "what\n");
  root.write("sys/fs/cgroup/memory.max", "-5\n");
  EXPECT_EQ(read_cgroup_limits(root.path()).cpus, 0);
  EXPECT_EQ(read_cgroup_limits(root.path()).memory_bytes, 0);
}

}  // namespace
}  // namespace tilewise
