// grpc.health.v1.Health. Not grpc++'s own service: that one brings threads which wait for the same
// sockets as the loop, and take its events away from it.
#pragma once

#include "server/grpc/loop.h"
#include "server/grpc/shared.h"

namespace tilewise::server {

/// Accepts Check and Watch on this loop until the server is shut down. Once, before the loop
/// starts. The services are "" and "inference.GRPCInferenceService", both SERVING while App is
/// ready.
void accept_health_calls(Shared& shared, Loop& loop);

}  // namespace tilewise::server
