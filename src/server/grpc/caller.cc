#include "server/grpc/caller.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "server/http/api_keys.h"

namespace tilewise::server {
namespace {

/// Clients take 8 KB of metadata, and a byte that is not plain ASCII is sent as three.
constexpr size_t kLongestMessage = 2000;

std::string_view view(const grpc::string_ref& text) { return {text.data(), text.size()}; }

/// Not within a character of UTF-8.
std::string shorten(std::string text) {
  if (text.size() <= kLongestMessage) return text;
  size_t end = kLongestMessage;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text + "...";
}

}  // namespace

std::string_view metadata_value(const CallMetadata& metadata, const char* name) {
  const auto found = metadata.find(name);
  return found == metadata.end() ? std::string_view() : view(found->second);
}

bool is_allowed(const std::vector<std::string>& keys, const CallMetadata& metadata) {
  if (keys.empty()) return true;
  HttpRequest request;
  for (const char* name : {"authorization", "x-api-key"}) {
    request.headers.emplace_back(name, metadata_value(metadata, name));
  }
  return is_allowed(keys, request);
}

Status no_key() {
  return unauthenticated({.what = "an API key is needed",
                          .where = "metadata \"authorization\"",
                          .expected = "Bearer KEY"});
}

Status check_phase(const App& app) {
  switch (app.phase.load(std::memory_order_acquire)) {
    case Phase::ready:
      return {};
    case Phase::starting:
      return unavailable({.what = "the server is starting"});
    case Phase::draining:
      return unavailable({.what = "the server is stopping"});
  }
  return {};
}

Time CallTiming::deadline_or_default(const Settings& settings) const {
  if (deadline != Time::max()) return deadline;
  return arrival +
         (priority == runtime::Priority::bulk ? settings.bulk_deadline : settings.deadline);
}

Status read_timing(const grpc::ServerContext& context, Time now, CallTiming& timing) {
  timing = {.arrival = now};
  const auto deadline = context.deadline();
  if (deadline != std::chrono::system_clock::time_point::max()) {
    timing.deadline =
        now + std::chrono::duration_cast<Duration>(deadline - std::chrono::system_clock::now());
  }
  const std::string_view priority = metadata_value(context.client_metadata(), "x-priority");
  if (priority == "bulk") {
    timing.priority = runtime::Priority::bulk;
  } else if (!priority.empty() && priority != "interactive") {
    return invalid_argument({.what = "there is no such priority",
                             .where = "metadata \"x-priority\"",
                             .expected = "interactive or bulk",
                             .found = std::string(priority.substr(0, 64))});
  }
  return {};
}

void echo_ids(grpc::ServerContext& context) {
  for (const char* name : {"x-request-id", "traceparent"}) {
    const std::string_view value = metadata_value(context.client_metadata(), name);
    if (!value.empty()) context.AddTrailingMetadata(name, std::string(value));
  }
}

grpc::Status to_grpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(grpc_status(status.code())), shorten(status.message())};
}

grpc::Status to_grpc(const Status& status, double retry_after_seconds,
                     grpc::ServerContext& context) {
  if (retry_after_seconds > 0) {
    const auto wait = static_cast<int64_t>(std::ceil(std::min(retry_after_seconds, 3600.0) * 1e3));
    context.AddTrailingMetadata("grpc-retry-pushback-ms", std::to_string(wait));
  }
  return to_grpc(status);
}

}  // namespace tilewise::server
