// The form of OpenAI's errors: {"error": {"message", "type", "param", "code"}}.
#pragma once

#include "base/status.h"
#include "server/message.h"

namespace tilewise::server::openai {

/// An ErrorWriter. `param` is the member of the request that is wrong, where the status names one;
/// `code` tells failures apart that share a type, as OpenAI's clients know them.
void write_error(const Status& status, double retry_after_seconds, HttpResponse& response);

}  // namespace tilewise::server::openai
