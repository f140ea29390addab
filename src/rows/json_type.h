// How messages call the types of JSON.
#pragma once

#include <simdjson.h>

namespace tilewise::rows {

/// "an array", "true or false".
const char* name_of(simdjson::ondemand::json_type type);

}  // namespace tilewise::rows
