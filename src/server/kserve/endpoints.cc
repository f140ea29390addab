// The paths of KServe v2 REST and of Triton's extensions to it.
#include <memory>
#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "rows/json_writer.h"
#include "server/errands.h"
#include "server/exchange.h"
#include "server/kserve/infer_exchange.h"
#include "server/kserve/model_json.h"

namespace tilewise::server {
namespace {

namespace asio = boost::asio;
using asio::awaitable;

/// What stands for {model} and {version}; the latter may be absent.
std::string_view captured(const Exchange& exchange, size_t index) {
  return index < exchange.captures.size() ? exchange.captures[index] : std::string_view();
}

Result<kserve::ModelDescription> describe(Exchange& exchange) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::Repository* repository, exchange.app.models());
  return kserve::describe(*repository, captured(exchange, 0), captured(exchange, 1));
}

void write(Result<std::string> body, Exchange& exchange) {
  exchange.query.status = body.status();
  if (body.ok()) exchange.response.body = *std::move(body);
}

// ---- inference ----

awaitable<void> infer(Exchange& exchange) {
  kserve::InferExchange& call = kserve::infer_exchange_of(exchange);
  exchange.query.status = call.begin(captured(exchange, 0), captured(exchange, 1), exchange);
  co_await exchange.answer();
  call.finish(exchange);
}

// ---- health ----

awaitable<void> live(Exchange& exchange) {
  exchange.response.body = R"({"live":true})";
  co_return;
}

awaitable<void> ready(Exchange& exchange) {
  const bool is_ready = exchange.app.is_ready();
  exchange.response.status = is_ready ? 200 : 503;
  exchange.response.body = is_ready ? R"({"ready":true})" : R"({"ready":false})";
  co_return;
}

/// A model that is known but not served answers as the server does that is not ready.
awaitable<void> model_ready(Exchange& exchange) {
  const auto model = describe(exchange);
  const StatusCode code = model.status().code();
  if (!model.ok() && code != StatusCode::unavailable) {
    exchange.query.status = model.status();
    co_return;
  }
  const bool is_ready = model.ok() && exchange.app.is_ready();
  rows::JsonWriter json;
  json.begin_object().key("name").string(captured(exchange, 0));
  json.key("ready").boolean(is_ready).end_object();
  exchange.response.status = is_ready ? 200 : 503;
  exchange.response.body = json.text();
}

// ---- what there is ----

awaitable<void> server_metadata(Exchange& exchange) {
  exchange.response.body = kserve::server_json(TILEWISE_VERSION);
  co_return;
}

awaitable<void> model_metadata(Exchange& exchange) {
  const auto model = describe(exchange);
  write(model.ok() ? Result(kserve::metadata_json(*model)) : model.status(), exchange);
  co_return;
}

awaitable<void> model_config(Exchange& exchange) {
  const auto model = describe(exchange);
  const App& app = exchange.app;
  write(model.ok() ? Result(kserve::config_json(*model, app.settings.limits.batch_inputs,
                                                app.service.replicas()))
                   : model.status(),
        exchange);
  co_return;
}

// ---- statistics ----

Result<std::string> statistics_of_one(Exchange& exchange) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::Repository* repository, exchange.app.models());
  const std::string_view name = captured(exchange, 0);
  TILEWISE_ASSIGN_OR_RETURN(const engine::Target target,
                            repository->find(name, captured(exchange, 1)));
  return kserve::statistics_json(
      {{name, target.version, kserve::totals_of(exchange.app.metrics, target, name)}});
}

Result<std::string> statistics_of_all(Exchange& exchange) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::Repository* repository, exchange.app.models());
  const auto entries = repository->index();
  std::vector<kserve::ModelTotals> models;
  for (const engine::RepositoryEntry& entry : entries) {
    if (!entry.is_ready) continue;
    models.push_back({entry.name, entry.version, exchange.app.metrics.totals(entry.name, {})});
  }
  return kserve::statistics_json(models);
}

awaitable<void> model_statistics(Exchange& exchange) {
  write(statistics_of_one(exchange), exchange);
  co_return;
}

awaitable<void> all_statistics(Exchange& exchange) {
  write(statistics_of_all(exchange), exchange);
  co_return;
}

// ---- repository ----

Result<std::string> index_of(Exchange& exchange) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::Repository* repository, exchange.app.models());
  TILEWISE_ASSIGN_OR_RETURN(const bool only_ready, kserve::parse_only_ready(exchange.request.body));
  return kserve::index_json(repository->index(), only_ready);
}

awaitable<void> repository_index(Exchange& exchange) {
  write(index_of(exchange), exchange);
  co_return;
}

using Change = Status (engine::Repository::*)(const std::string& name);

/// As an errand: a load takes tens of milliseconds, in which an I/O thread has hundreds of requests
/// to serve. The connection waits for it, so that what it uses stays.
awaitable<Status> change_elsewhere(Errands& errands, engine::Repository& repository, Change change,
                                   std::string name) {
  return asio::async_initiate<const asio::use_awaitable_t<>, void(Status)>(
      // Called when it is awaited, after this function has returned.
      [&errands, &repository, change, name = std::move(name)](auto handler) {
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        errands.add([&repository, change, name, shared]() mutable {
          Status status = (repository.*change)(name);
          const auto executor = asio::get_associated_executor(*shared);
          // Moved, so that nothing of the connection is left on this thread.
          asio::post(executor, [shared = std::move(shared), status = std::move(status)] {
            (*shared)(status);
          });
        });
      },
      asio::use_awaitable);
}

awaitable<void> change_repository(Exchange& exchange, Change change) {
  const auto repository = exchange.app.models();
  Status& status = exchange.query.status;
  status = repository.ok() ? kserve::check_repository_parameters(exchange.request.body)
                           : repository.status();
  if (status.ok()) {
    status = co_await change_elsewhere(exchange.app.errands, **repository, change,
                                       std::string(captured(exchange, 0)));
  }
  if (status.ok()) exchange.response.body = "{}";
}

awaitable<void> repository_load(Exchange& exchange) {
  return change_repository(exchange, &engine::Repository::load);
}

awaitable<void> repository_unload(Exchange& exchange) {
  return change_repository(exchange, &engine::Repository::unload);
}

constexpr Endpoint get(std::string_view path, Handler handler, bool is_open = false) {
  return {"GET", path, handler, write_plain_error, is_open, false};
}

constexpr Endpoint post(std::string_view path, Handler handler, bool is_inference = false) {
  return {"POST", path, handler, write_plain_error, false, is_inference};
}

}  // namespace

std::span<const Endpoint> kserve_endpoints() {
  // The first that fits answers: /v2/models/stats is no model's name.
  static constexpr Endpoint kEndpoints[] = {
      post("/v2/models/{model}/infer", infer, true),
      post("/v2/models/{model}/versions/{version}/infer", infer, true),
      get("/v2/health/live", live, true),
      get("/v2/health/ready", ready, true),
      get("/v2/models/stats", all_statistics),
      get("/v2/models/{model}/ready", model_ready, true),
      get("/v2/models/{model}/versions/{version}/ready", model_ready, true),
      get("/v2/models/{model}", model_metadata),
      get("/v2/models/{model}/versions/{version}", model_metadata),
      get("/v2/models/{model}/config", model_config),
      get("/v2/models/{model}/versions/{version}/config", model_config),
      get("/v2/models/{model}/stats", model_statistics),
      get("/v2/models/{model}/versions/{version}/stats", model_statistics),
      post("/v2/repository/index", repository_index),
      post("/v2/repository/models/{model}/load", repository_load),
      post("/v2/repository/models/{model}/unload", repository_unload),
      get("/v2", server_metadata),
  };
  return kEndpoints;
}

}  // namespace tilewise::server
