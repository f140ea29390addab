// The page, the metrics and the description of the API: what is there for whoever runs the server.
#include <array>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "server/exchange.h"
#include "server/exposition.h"
#include "server/operation/page.h"
#include "server/operation/tasks_json.h"

namespace tilewise::server {
namespace operation {
namespace {

namespace asio = boost::asio;
using Awaitable = asio::awaitable<void>;

Awaitable page(Exchange& exchange) {
  HttpResponse& response = exchange.response;
  response.content_type = "text/html; charset=utf-8";
  response.body = kPage;
  response.headers.emplace_back("Content-Security-Policy", page_policy());
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Referrer-Policy", "no-referrer");
  response.headers.emplace_back("Cache-Control", "no-cache");  // it belongs to this version
  co_return;
}

Awaitable open_api(Exchange& exchange) {
  exchange.response.body = kOpenApi;
  co_return;
}

Awaitable tasks(Exchange& exchange) {
  exchange.response.body = tasks_json(exchange.app);
  co_return;
}

Snapshot take_snapshot(const App& app) {
  Snapshot snapshot{.now = app.clock.now(),
                    .backlog = app.service.backlog(),
                    .busy_seconds = app.service.busy_seconds(),
                    .cache = app.service.cache(),
                    .is_ready = app.is_ready(),
                    .isa = isa_of(app)};
  const engine::Repository* const repository = app.repository.load(std::memory_order_acquire);
  if (repository == nullptr) return snapshot;
  for (const engine::RepositoryEntry& entry : repository->index()) {
    snapshot.models.push_back(
        {.name = entry.name, .version = entry.version, .is_ready = entry.is_ready});
  }
  return snapshot;
}

/// Other connections have their turn between the pieces.
Awaitable metrics(Exchange& exchange) {
  HttpResponse& response = exchange.response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  Exposition exposition = exchange.app.metrics.expose(take_snapshot(exchange.app));
  const auto executor = co_await asio::this_coro::executor;
  while (exposition.append(response.body)) co_await asio::post(executor, asio::use_awaitable);
}

}  // namespace
}  // namespace operation

std::span<const Endpoint> operation_endpoints() {
  static constexpr std::array kEndpoints = {
      Endpoint{.method = "GET",
               .path = "/",
               .handler = operation::page,
               .write_error = write_plain_error,
               .is_open = true},  // it has no secrets, and asks for the key itself
      Endpoint{.method = "GET",
               .path = "/openapi.json",
               .handler = operation::open_api,
               .write_error = write_plain_error,
               .is_open = true},
      Endpoint{.method = "GET",
               .path = "/metrics",
               .handler = operation::metrics,
               .write_error = write_plain_error},
      Endpoint{.method = "GET",
               .path = "/v1/tasks",
               .handler = operation::tasks,
               .write_error = write_plain_error},
  };
  return kEndpoints;
}

}  // namespace tilewise::server
