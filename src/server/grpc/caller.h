// What a call brings beside its message: who asks, until when, how urgently.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>
#include <grpcpp/support/string_ref.h>

#include "base/clock.h"
#include "base/status.h"
#include "runtime/batcher.h"
#include "server/app.h"

namespace tilewise::server {

using CallMetadata = std::multimap<grpc::string_ref, grpc::string_ref>;

/// The first value of this name (lower case); empty where there is none.
std::string_view metadata_value(const CallMetadata& metadata, const char* name);

/// The key of `authorization: Bearer KEY` or `x-api-key: KEY` is one of these. True without keys.
bool is_allowed(const std::vector<std::string>& keys, const CallMetadata& metadata);

/// unauthenticated, in words.
Status no_key();

/// UNAVAILABLE unless the server is ready.
Status check_phase(const App& app);

/// From the call's deadline and `x-priority`.
struct CallTiming {
  Time arrival;
  Time deadline = Time::max();  ///< the client's; it does not wait longer
  runtime::Priority priority = runtime::Priority::interactive;

  /// The client's deadline, or the default one where it has none.
  Time deadline_or_default(const Settings& settings) const;
};

/// Whose call it is.
struct Caller {
  const grpc::ServerContext* context = nullptr;  ///< lives as long as the call
  const char* path = "";                         ///< "/SERVICE/METHOD"
  CallTiming timing;
};

/// Reads what the call's metadata say. `caller` is complete in any case. Errors: unauthenticated
/// without a key that is needed, invalid_argument for an x-priority that there is not.
Status read_caller(const App& app, const grpc::ServerContext& context, const char* path,
                   Caller& caller);

/// Where the client is, "192.0.2.7:51234" or "[2001:db8::7]:51234".
std::string peer_of(const grpc::ServerContext& context);

/// `x-request-id` and `traceparent` go back as they came.
void echo_ids(grpc::ServerContext& context);

/// In gRPC's terms; messages are cut to what clients take as metadata. Adds
/// `grpc-retry-pushback-ms` where a wait is given.
grpc::Status to_grpc(const Status& status, double retry_after_seconds,
                     grpc::ServerContext& context);
grpc::Status to_grpc(const Status& status);

}  // namespace tilewise::server
