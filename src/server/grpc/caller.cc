#include "server/grpc/caller.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

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

Status read_caller(const App& app, const grpc::ServerContext& context, const char* path,
                   Caller& caller) {
  const Time now = app.clock.now();
  caller = {.context = &context, .path = path, .timing = {.arrival = now}};
  const auto deadline = context.deadline();
  if (deadline != std::chrono::system_clock::time_point::max()) {
    caller.timing.deadline =
        now + std::chrono::duration_cast<Duration>(deadline - std::chrono::system_clock::now());
  }
  if (!is_allowed(app.settings.api_keys, context.client_metadata())) return no_key();
  const std::string_view priority = metadata_value(context.client_metadata(), "x-priority");
  if (priority == "bulk") {
    caller.timing.priority = runtime::Priority::bulk;
  } else if (!priority.empty() && priority != "interactive") {
    return invalid_argument({.what = "there is no such priority",
                             .where = "metadata \"x-priority\"",
                             .expected = "interactive or bulk",
                             .found = std::string(priority.substr(0, 64))});
  }
  return {};
}

std::string peer_of(const grpc::ServerContext& context) {
  std::string peer = context.peer();  // "ipv4:192.0.2.7:51234", "ipv6:%5B2001:db8::7%5D:51234"
  if (peer.starts_with("ipv4:") || peer.starts_with("ipv6:")) peer.erase(0, 5);
  for (const auto& [code, character] : {std::pair{"%5B", "["}, {"%5D", "]"}, {"%25", "%"}}) {
    if (const size_t at = peer.find(code); at != std::string::npos) peer.replace(at, 3, character);
  }
  return peer;
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
