// The calls of inference.GRPCInferenceService that infer nothing: health, metadata, statistics, the
// repository.
#pragma once

#include "server/grpc/errands.h"
#include "server/grpc/loop.h"
#include "server/grpc/shared.h"

namespace tilewise::server {

/// Accepts them on this loop until the server is shut down; `errands` load models. Once, before the
/// loop starts.
void accept_management_calls(Shared& shared, Loop& loop, Errands& errands);

}  // namespace tilewise::server
