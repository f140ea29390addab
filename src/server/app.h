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
class Errands;

enum class Phase { starting, ready, draining };

/// Thread-safe. `repository` is null while the server starts.
struct App {
  const Settings& settings;
  const Clock& clock;
  engine::Service& service;
  Metrics& metrics;
  Errands& errands;  ///< runs what takes too long for a loop
  std::atomic<engine::Repository*> repository = nullptr;
  std::atomic<Phase> phase = Phase::starting;
  /// Called by the service's observer on_handed_back(); null: every answer wakes its loop itself.
  WakeList* wakes = nullptr;
  AccessLog* access_log = nullptr;  ///< null: none

  bool is_ready() const { return phase.load(std::memory_order_acquire) == Phase::ready; }

  /// Errors: `unavailable` while the server starts.
  Result<engine::Repository*> models() const {
    if (auto* models = repository.load(std::memory_order_acquire)) return models;
    return unavailable({.what = "the server is starting", .remedy = "Ask again when it is ready"});
  }
};

}  // namespace tilewise::server
