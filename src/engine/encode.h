// From what a request asks to the sequences that a model sees.
#pragma once

#include "base/status.h"
#include "engine/request.h"

namespace tilewise::engine {

/// Checks the request and fills own.packed, own.orders, tokens and truncated. Allocates nothing
/// once the request's memory is large enough. Errors: invalid_argument for a call that asks for
/// nothing or for what cannot be together; invalid_input or invalid_argument naming the input that
/// is bad ("inputs[3]").
Status encode(Request& request);

}  // namespace tilewise::engine
