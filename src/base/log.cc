#include "base/log.h"

#include <memory>

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

namespace tilewise {
namespace {

// Never destroyed, so that destructors of other static objects may still log.
spdlog::logger& logger() {
  static spdlog::logger& instance = *[] {
    auto* created =
        new spdlog::logger("tilewise", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    created->set_pattern("%H:%M:%S %^%l%$: %v");
    created->set_level(spdlog::level::info);
    return created;
  }();
  return instance;
}

void log(spdlog::level::level_enum level, std::string_view message) {
  logger().log(level, spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace

Status set_log_level(std::string_view name) {
  for (const auto& [level_name, level] : {std::pair{"debug", spdlog::level::debug},
                                          {"info", spdlog::level::info},
                                          {"warn", spdlog::level::warn},
                                          {"error", spdlog::level::err},
                                          {"off", spdlog::level::off}}) {
    if (name != level_name) continue;
    logger().set_level(level);
    return {};
  }
  return invalid_argument({.what = "unknown log level",
                           .expected = "debug, info, warn, error or off",
                           .found = std::string(name)});
}

void log_debug(std::string_view message) { log(spdlog::level::debug, message); }
void log_info(std::string_view message) { log(spdlog::level::info, message); }
void log_warn(std::string_view message) { log(spdlog::level::warn, message); }
void log_error(std::string_view message) { log(spdlog::level::err, message); }

}  // namespace tilewise
