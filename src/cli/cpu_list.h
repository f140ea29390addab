// Sets of logical processors: "0-3,8".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sched.h>

#include "base/status.h"

namespace tilewise::cli {

/// Those that this process may use, ascending.
std::vector<int32_t> allowed_cpus();

/// "0-3,8" -> {0, 1, 2, 3, 8}. Errors: invalid_argument, also for processors that this process may
/// not use; `where` is the flag.
Result<std::vector<int32_t>> parse_cpus(const std::string& text, const std::string& where);

/// The calling thread, and all threads and processes that it starts meanwhile, on these processors
/// until the end of the scope.
class OnCpus {
 public:
  explicit OnCpus(const std::vector<int32_t>& cpus);
  ~OnCpus();
  OnCpus(const OnCpus&) = delete;
  OnCpus& operator=(const OnCpus&) = delete;

 private:
  cpu_set_t before_{};
};

}  // namespace tilewise::cli
