// Certificate and key of a gRPC server.
#pragma once

#include <memory>

#include <grpcpp/security/server_credentials.h>

#include "base/status.h"
#include "server/settings.h"

namespace tilewise::server {

/// Without files: none. Errors: invalid_input where the files are no certificate and its key.
Result<std::shared_ptr<grpc::ServerCredentials>> make_credentials(const TlsFiles& files);

}  // namespace tilewise::server
