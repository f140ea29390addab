// Who may ask.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/message.h"

namespace tilewise::server {

/// Whether the texts are equal, in a time that depends on `offered` alone.
bool equal_in_constant_time(std::string_view secret, std::string_view offered);

/// Whether the request carries one of the keys: "Authorization: Bearer KEY" or "x-api-key: KEY".
/// True where there are no keys.
bool is_allowed(const std::vector<std::string>& keys, const HttpRequest& request);

}  // namespace tilewise::server
