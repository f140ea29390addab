#include "server/server.h"

#include <algorithm>
#include <future>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/repository.h"
#include "engine/service.h"
#include "server/access_log.h"
#include "server/app.h"
#include "server/errands.h"
#include "server/grpc/grpc_server.h"
#include "server/http/http_server.h"
#include "server/metrics.h"

namespace tilewise::server {

namespace {

/// What the service says of its passes, to those who want to know.
class PassRelay final : public engine::PassObserver {
 public:
  PassRelay(Metrics& metrics, WakeList& wakes) : metrics_(metrics), wakes_(wakes) {}
  void on_pass(const engine::PassReport& report) override { metrics_.on_pass(report); }
  void on_handed_back() override { wakes_.wake_all(); }

 private:
  Metrics& metrics_;
  WakeList& wakes_;
};

/// What is left of a deadline for the reply and for what the server cannot see: a client's clock
/// starts before the request is read, and ends after the reply was.
Duration reply_margin(std::chrono::milliseconds deadline) {
  constexpr Duration kMost = std::chrono::microseconds(1200);
  return std::min(kMost, Duration(deadline) / 8);
}

}  // namespace

struct Server::State {
  explicit State(const Settings& its_settings) : settings(its_settings) {
    settings.service.batcher.reply_margin = reply_margin(settings.deadline);
    settings.service.observer = &relay;
    settings.repository.on_swap = [this](std::string_view model, bool ok) {
      metrics.on_swap(model, ok);
    };
  }

  // In the order of their starts: what is below uses what is above.
  Settings settings;
  SteadyClock clock;
  Metrics metrics;
  WakeList wakes;
  PassRelay relay{metrics, wakes};
  std::unique_ptr<AccessLog> access_log;
  Errands errands;
  std::unique_ptr<engine::Service> service;
  std::unique_ptr<App> app;
  std::unique_ptr<HttpServer> http;
  std::unique_ptr<GrpcServer> grpc;
  std::unique_ptr<engine::Repository> repository;
  bool is_drained = false;

  ~State() {
    // Nobody asks any more when the models go.
    grpc.reset();
    http.reset();
    if (app != nullptr) app->repository = nullptr;
    repository.reset();
  }

  void enter(Phase phase) {
    app->phase.store(phase, std::memory_order_release);
    if (grpc != nullptr) grpc->update_health();
  }
};

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Server>> Server::start(const Settings& settings) {
  auto state = std::make_unique<State>(settings);
  State& s = *state;
  TILEWISE_ASSIGN_OR_RETURN(s.service, engine::Service::start(s.settings.service, s.clock));
  TILEWISE_RETURN_IF_ERROR(s.errands.start());
  s.app.reset(new App{s.settings, s.clock, *s.service, s.metrics, s.errands});
  s.app->wakes = &s.wakes;
  if (!s.settings.access_log.empty()) {
    TILEWISE_ASSIGN_OR_RETURN(s.access_log, AccessLog::open(s.settings.access_log));
    s.app->access_log = s.access_log.get();
  }
  TILEWISE_ASSIGN_OR_RETURN(s.http, HttpServer::start(*s.app));
  if (s.settings.grpc_port >= 0) {
    TILEWISE_ASSIGN_OR_RETURN(s.grpc, GrpcServer::start(*s.app));
  }
  TILEWISE_ASSIGN_OR_RETURN(
      s.repository, engine::Repository::open(*s.service, s.settings.models, s.settings.repository));
  s.app->repository = s.repository.get();
  s.enter(Phase::ready);
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Server::~Server() { drain(); }

int32_t Server::port() const { return state_->http->port(); }
int32_t Server::grpc_port() const { return state_->grpc == nullptr ? -1 : state_->grpc->port(); }

std::string Server::describe() const {
  const State& s = *state_;
  const std::string host = s.settings.address.find(':') == std::string::npos
                               ? s.settings.address
                               : "[" + s.settings.address + "]";
  std::string text =
      fmt::format("listening on {}://{}:{}", s.settings.tls.certificate.empty() ? "http" : "https",
                  host, port());
  if (s.grpc != nullptr) text += fmt::format(" and grpc://{}:{}", host, grpc_port());
  std::string models;
  for (const engine::RepositoryEntry& entry : s.repository->index()) {
    if (!entry.is_ready) continue;
    models += fmt::format("{}{} {}", models.empty() ? "" : ", ", entry.name, entry.version);
  }
  const int32_t replicas = s.service->replicas();
  return text +
         fmt::format("; {} {} of {}", replicas, replicas == 1 ? "replica" : "replicas", models);
}

bool Server::drain() {
  State& s = *state_;
  if (s.is_drained) return true;
  s.is_drained = true;
  s.enter(Phase::draining);
  if (s.grpc == nullptr) return s.http->stop(s.settings.drain_time);
  // Both at once, within the same time; one after the other only where no thread can be had.
  const Time until = s.clock.now() + s.settings.drain_time;
  auto grpc = std::async(std::launch::async | std::launch::deferred, [&] {
    return s.grpc->stop(std::chrono::ceil<std::chrono::milliseconds>(
        std::max(Duration::zero(), until - s.clock.now())));
  });
  const bool http_answered = s.http->stop(s.settings.drain_time);
  return grpc.get() && http_answered;
}

}  // namespace tilewise::server
