#include "cli/cpu_list.h"

#include <algorithm>
#include <charconv>

namespace tilewise::cli {
namespace {

/// Takes a number from the front of `text`; negative where there is none.
int32_t take_number(std::string_view& text) {
  int32_t number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return -1;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

}  // namespace

std::vector<int32_t> allowed_cpus() {
  cpu_set_t set{};
  sched_getaffinity(0, sizeof set, &set);
  std::vector<int32_t> cpus;
  for (int32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

Result<std::vector<int32_t>> parse_cpus(const std::string& text, const std::string& where) {
  const auto refuse = [&](const char* what) {
    return invalid_argument({.what = what,
                             .where = where,
                             .expected = "processors that this process may use, as in 0-3,8",
                             .found = text});
  };
  const std::vector<int32_t> allowed = allowed_cpus();
  std::vector<int32_t> cpus;
  for (std::string_view rest = text;;) {
    const int32_t first = take_number(rest);
    int32_t last = first;
    if (rest.starts_with('-')) {
      rest.remove_prefix(1);
      last = take_number(rest);
    }
    if (first < 0 || last < first) return refuse("this is no list of processors");
    for (int32_t cpu = first; cpu <= last; ++cpu) {
      if (!std::binary_search(allowed.begin(), allowed.end(), cpu)) {
        return refuse("a processor cannot be used");
      }
      cpus.push_back(cpu);
    }
    if (rest.empty()) break;
    if (!rest.starts_with(',')) return refuse("this is no list of processors");
    rest.remove_prefix(1);
  }
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

OnCpus::OnCpus(const std::vector<int32_t>& cpus) {
  sched_getaffinity(0, sizeof before_, &before_);
  cpu_set_t set{};
  for (const int32_t cpu : cpus) CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof set, &set);
}

OnCpus::~OnCpus() { sched_setaffinity(0, sizeof before_, &before_); }

}  // namespace tilewise::cli
