// What every endpoint works with.
#pragma once

#include <atomic>

#include "base/clock.h"
#include "engine/repository.h"
#include "engine/service.h"
#include "server/metrics.h"
#include "server/settings.h"
#include "server/wake_list.h"

namespace tilewise::server {

class AccessLog;

enum class Phase { starting, ready, draining };

/// Thread-safe. `repository` is null while the server starts.
struct App {
  const Settings& settings;
  const Clock& clock;
  engine::Service& service;
  Metrics& metrics;
  std::atomic<engine::Repository*> repository = nullptr;
  std::atomic<Phase> phase = Phase::starting;
  /// Called by the service's observer on_handed_back(); null: every answer wakes its loop itself.
  WakeList* wakes = nullptr;
  AccessLog* access_log = nullptr;  ///< null: none

  bool is_ready() const { return phase.load(std::memory_order_acquire) == Phase::ready; }
};

}  // namespace tilewise::server
