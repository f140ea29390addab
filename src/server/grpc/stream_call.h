// ModelStreamInfer: a stream of messages, each answered as soon as it can be.
#pragma once

#include "server/grpc/loop.h"
#include "server/grpc/shared.h"

namespace tilewise::server {

/// Accepts streams on this loop until the server is shut down. Once, before the loop starts.
void accept_stream_calls(Shared& shared, Loop& loop);

}  // namespace tilewise::server
