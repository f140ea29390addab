#include "compile/parallel.h"

#include <atomic>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/topology.h"

namespace tilewise::compile {

int32_t thread_count() {
  const auto topology = read_topology();
  return topology.ok() ? topology->default_replicas() : 1;
}

void for_each_in_parallel(size_t count, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next = 0;
  const auto take_work = [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  const auto threads = static_cast<size_t>(thread_count());
  std::vector<std::jthread> helpers;  // of the calling thread
  try {
    while (helpers.size() + 1 < threads && helpers.size() + 1 < count) {
      helpers.emplace_back(take_work);
    }
  } catch (const std::system_error& error) {
    log_warn(std::string("compiling on fewer cores than there are: ") + error.what());
  }
  take_work();
}

}  // namespace tilewise::compile
