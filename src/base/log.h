// Messages for people, on standard error. The only global state of tilewise.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace tilewise {

/// "debug", "info", "warn", "error", "off". Fails with invalid_argument on any other name. Default: info.
Status set_log_level(std::string_view name);

/// One line each; thread-safe.
void log_debug(std::string_view message);
void log_info(std::string_view message);
void log_warn(std::string_view message);
void log_error(std::string_view message);

}  // namespace tilewise
