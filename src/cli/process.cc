#include "cli/process.h"

#include <sys/resource.h>

namespace tilewise::cli {

double peak_memory_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 * 1e-6;  // Linux counts in KiB
}

}  // namespace tilewise::cli
