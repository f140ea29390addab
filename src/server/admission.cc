#include "server/admission.h"

#include <algorithm>
#include <chrono>

namespace tilewise::server {

Status check_load(const engine::Service& service, runtime::Priority priority, Time deadline,
                  double& retry_after_seconds) {
  const auto wait = service.refuses(priority, deadline);
  if (!wait || *wait == Duration::zero()) return {};
  retry_after_seconds = std::max(1e-3, std::chrono::duration<double>(*wait).count());
  return overloaded({.what = "the request cannot be answered in time",
                     .remedy = "Ask again later, or with a later deadline"});
}

}  // namespace tilewise::server
