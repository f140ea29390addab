// The calls of inference.GRPCInferenceService that infer nothing: health, metadata, statistics, the
// repository.
#pragma once

#include "server/grpc/loop.h"
#include "server/grpc/shared.h"

namespace tilewise::server {

/// Accepts them on this loop until the server is shut down. Once, before the loop starts.
void accept_management_calls(Shared& shared, Loop& loop);

}  // namespace tilewise::server
