#include "server/grpc/grpc_server.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "base/log.h"
#include "server/grpc/credentials.h"
#include "server/grpc/health_calls.h"
#include "server/grpc/infer_call.h"
#include "server/grpc/loop.h"
#include "server/grpc/management.h"
#include "server/grpc/stream_call.h"

namespace tilewise::server {
namespace {

/// gRPC's own messages. What matters of them is in our own errors; clients can cause the rest.
void log_of_grpc(gpr_log_func_args* message) {
  log_debug(std::string("gRPC: ") + message->message);
}

/// Protobuf's, which any client can cause with text that is not UTF-8.
void log_of_protobuf(google::protobuf::LogLevel, const char*, int, const std::string& message) {
  log_debug("protobuf: " + message);
}

std::string address_of(const Settings& settings) {
  const bool is_ipv6 = settings.address.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + settings.address + "]" : settings.address) + ":" +
         std::to_string(settings.grpc_port);
}

}  // namespace

// Beside the loops grpc++ 1.51 keeps threads of its own, which run its timers and callbacks and
// sleep otherwise: as many as the machine has cores, from 2 to 32, whatever cores the process may
// use. The number can only be had by replacing its whole EventEngine, which is not worth it.
struct GrpcServer::State {
  explicit State(App& app) : shared(app) {}

  Shared shared;
  std::vector<std::unique_ptr<Loop>> loops;
  std::vector<std::unique_ptr<InferCalls>> infer_calls;  // one a loop, gone before it
  std::unique_ptr<grpc::Server> server;
  int port = 0;
  bool is_stopped = false;

  Status listen();
  Status serve();
};

Status GrpcServer::State::listen() {
  const Settings& settings = shared.app.settings;
  TILEWISE_ASSIGN_OR_RETURN(const auto credentials, make_credentials(settings.tls));
  grpc::ServerBuilder builder;
  const std::string address = address_of(settings);
  builder.AddListeningPort(address, credentials, &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a port that is taken is an error
  builder.SetMaxReceiveMessageSize(static_cast<int>(
      std::min<int64_t>(settings.limits.body_bytes, std::numeric_limits<int>::max())));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, settings.limits.header_bytes);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             10'000);  // keepalive of idle clients
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.RegisterService(&shared.inference);
  builder.RegisterService(&shared.health);
  for (int32_t i = 0; i < std::max(settings.io_threads, 1); ++i) {
    loops.push_back(std::make_unique<Loop>(builder.AddCompletionQueue()));
  }
  server = builder.BuildAndStart();
  if (server != nullptr && port != 0) return {};
  return io_error({.what = "gRPC cannot listen",
                   .where = address,
                   .expected = "an address of this machine and a port that is free"});
}

Status GrpcServer::State::serve() {
  for (const auto& loop : loops) {
    infer_calls.push_back(std::make_unique<InferCalls>(shared, *loop));
    infer_calls.back()->start();
    accept_stream_calls(shared, *loop);
    accept_health_calls(shared, *loop);
    accept_management_calls(shared, *loop);
  }
  for (const auto& loop : loops) {
    TILEWISE_RETURN_IF_ERROR(loop->start());
    if (shared.app.wakes != nullptr) shared.app.wakes->add(*loop);
  }
  return {};
}

GrpcServer::GrpcServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

GrpcServer::~GrpcServer() { stop(std::chrono::milliseconds(0)); }

Result<std::unique_ptr<GrpcServer>> GrpcServer::start(App& app) {
  gpr_set_log_function(log_of_grpc);
  google::protobuf::SetLogHandler(log_of_protobuf);
  std::unique_ptr<GrpcServer> server(new GrpcServer(std::make_unique<State>(app)));
  TILEWISE_RETURN_IF_ERROR(server->state_->listen());
  TILEWISE_RETURN_IF_ERROR(server->state_->serve());
  return server;
}

int32_t GrpcServer::port() const { return state_->port; }

void GrpcServer::update_health() {
  for (const auto& loop : state_->loops) loop->announce_phase();
}

bool GrpcServer::stop(std::chrono::milliseconds wait) {
  State& state = *state_;
  if (state.is_stopped) return true;
  state.is_stopped = true;
  state.shared.is_stopping = true;
  bool is_in_time = true;
  if (state.server != nullptr) {
    update_health();  // what lasts ends
    const auto until = std::chrono::system_clock::now() + wait;
    state.server->Shutdown(until);
    is_in_time = std::chrono::system_clock::now() < until;
  }
  // With them what runs as an errand: its call uses a queue until it is answered.
  for (const auto& loop : state.loops) {
    loop->finish();
    if (WakeList* wakes = state.shared.app.wakes; wakes != nullptr) wakes->remove(*loop);
  }
  state.infer_calls.clear();
  return is_in_time;
}

}  // namespace tilewise::server
