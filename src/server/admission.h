// Whether it is worth looking at a request at all.
#pragma once

#include "base/clock.h"
#include "base/status.h"
#include "engine/service.h"

namespace tilewise::server {

/// A cheap look before a request is parsed or tokenized. Thread-safe. Errors: overloaded, with how
/// long to wait, where even the shortest request would be refused now. A deadline that is too short
/// without a queue passes: its own error says more.
Status check_load(const engine::Service& service, runtime::Priority priority, Time deadline,
                  double& retry_after_seconds);

}  // namespace tilewise::server
