#include "blocking/parallel.h"

#include <exception>
#include <future>
#include <vector>

namespace tilewise::blocking {
namespace {

Status guarded(const std::function<Status(size_t)>& work, size_t i) {
  try {
    return work(i);
  } catch (const std::exception& error) {
    return unavailable_machine({.what = "cannot search for neighbours",
                                .found = error.what(),
                                .remedy = "Give the process more memory"});
  }
}

}  // namespace

Status for_each_on_replicas(engine::Engine& engine, size_t count,
                            const std::function<Status(size_t)>& work, const Watch& watch) {
  std::vector<Status> statuses(count);
  std::vector<std::future<void>> pending;
  pending.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    pending.push_back(engine.submit([&, i](engine::Worker&) {
      statuses[i] =
          watch.stop && watch.stop() ? interrupted({.what = "stopped"}) : guarded(work, i);
    }));
  }
  for (size_t i = 0; i < count; ++i) {
    pending[i].wait();
    if (watch.on_progress) watch.on_progress(i + 1);
  }
  for (Status& status : statuses) TILEWISE_RETURN_IF_ERROR(std::move(status));
  return {};
}

}  // namespace tilewise::blocking
