#include "base/cgroup.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "base/topology.h"

namespace tilewise {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t end = 0; end != std::string_view::npos; text.remove_prefix(end + 1)) {
    end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
  }
  return parts;
}

std::optional<int64_t> parse_integer(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string read_or_empty(const std::string& path) {
  Result<std::string> text = read_file(path);
  return text.ok() ? *std::move(text) : "";
}

bool contains(std::string_view comma_list, std::string_view word) {
  const std::vector<std::string_view> words = split(comma_list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

// Where a hierarchy is mounted, and which of its groups is the mount's root (not "/" in a container
// without a cgroup namespace).
struct Mount {
  std::string point;
  std::string group;
};

// A line of mountinfo: id parent device GROUP POINT options [optional...] - TYPE source
// SUPER_OPTIONS (proc(5)). An empty controller means the version 2 hierarchy.
std::optional<Mount> find_mount(std::string_view mountinfo, std::string_view controller) {
  for (const std::string_view line : split(mountinfo, '\n')) {
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const std::vector<std::string_view> left = split(line.substr(0, dash), ' ');
    const std::vector<std::string_view> right = split(line.substr(dash + 3), ' ');
    if (left.size() < 5 || right.size() < 3) continue;
    const bool matches = controller.empty()
                             ? right[0] == "cgroup2"
                             : right[0] == "cgroup" && contains(right[2], controller);
    if (matches) return Mount{std::string(left[4]), std::string(left[3])};
  }
  return std::nullopt;
}

// A line of /proc/self/cgroup: number:controllers:GROUP, with no controllers for version 2.
std::optional<std::string> find_group(std::string_view cgroup, std::string_view controller) {
  for (const std::string_view line : split(cgroup, '\n')) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first == std::string_view::npos ? first : first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const bool matches =
        controller.empty() ? controllers.empty() : contains(controllers, controller);
    if (matches) return std::string(line.substr(second + 1));
  }
  return std::nullopt;
}

// The folders of the process's group and of the groups above it, as far as the mount shows them.
std::vector<std::string> group_folders(const std::string& root, const Mount& mount,
                                       std::string group) {
  if (mount.group != "/") {
    const bool inside = group == mount.group || group.starts_with(mount.group + "/");
    group = inside ? group.substr(mount.group.size()) : "";
  }
  // "/..": above the root of our cgroup namespace.
  if (!group.starts_with('/') || group.starts_with("/..")) group = "";
  std::vector<std::string> folders = {root + mount.point};
  for (; group.size() > 1; group.resize(group.rfind('/'))) folders.push_back(folders[0] + group);
  return folders;
}

// Keeps the tighter of two limits, where 0 is none.
template <class T>
void tighten(T& limit, T candidate) {
  if (candidate > 0 && (limit == 0 || candidate < limit)) limit = candidate;
}

int64_t read_bytes(const std::string& path) {
  // Version 2 says "max"; version 1 says the largest multiple of the page size.
  constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max() - (int64_t{1} << 20);
  const int64_t bytes = parse_integer(read_or_empty(path)).value_or(0);
  return bytes >= kUnlimited ? 0 : bytes;
}

double read_cfs_quota(const std::string& folder) {
  const int64_t quota = parse_integer(read_or_empty(folder + "/cpu.cfs_quota_us")).value_or(-1);
  const int64_t period = parse_integer(read_or_empty(folder + "/cpu.cfs_period_us")).value_or(0);
  return quota > 0 && period > 0 ? static_cast<double>(quota) / static_cast<double>(period) : 0;
}

void for_each_folder(const std::string& root, std::string_view controller,
                     const std::function<void(const std::string&)>& visit) {
  const std::optional<Mount> mount =
      find_mount(read_or_empty(root + "/proc/self/mountinfo"), controller);
  const std::optional<std::string> group =
      find_group(read_or_empty(root + "/proc/self/cgroup"), controller);
  if (!mount || !group) return;
  for (const std::string& folder : group_folders(root, *mount, *group)) visit(folder);
}

}  // namespace

double parse_cpu_max(const std::string& text) {
  const size_t space = text.find(' ');
  if (space == std::string::npos) return 0;
  const int64_t quota = parse_integer(std::string_view(text).substr(0, space)).value_or(0);
  const int64_t period = parse_integer(std::string_view(text).substr(space + 1)).value_or(0);
  return quota > 0 && period > 0 ? static_cast<double>(quota) / static_cast<double>(period) : 0;
}

CgroupLimits read_cgroup_limits(const std::string& root) {
  CgroupLimits limits;
  for_each_folder(root, "", [&](const std::string& folder) {
    tighten(limits.cpus, parse_cpu_max(read_or_empty(folder + "/cpu.max")));
    tighten(limits.memory_bytes, read_bytes(folder + "/memory.max"));
  });
  for_each_folder(root, "cpu",
                  [&](const std::string& folder) { tighten(limits.cpus, read_cfs_quota(folder)); });
  for_each_folder(root, "memory", [&](const std::string& folder) {
    tighten(limits.memory_bytes, read_bytes(folder + "/memory.limit_in_bytes"));
  });
  return limits;
}

}  // namespace tilewise
