// OpenAI's endpoints.
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include "server/exchange.h"
#include "server/openai/call.h"
#include "server/openai/error.h"
#include "server/tei/fill.h"

namespace tilewise::server {
namespace openai {
namespace {

using Awaitable = boost::asio::awaitable<void>;

Status fill(Exchange& exchange, EmbeddingsCall& call) {
  TILEWISE_RETURN_IF_ERROR(check_batch(exchange, call.inputs.size() + call.token_inputs.size()));
  TILEWISE_RETURN_IF_ERROR(choose(exchange, call.model, {Purpose::embed, {}}));
  exchange.query.inputs = std::move(call.inputs);
  exchange.query.token_inputs = std::move(call.token_inputs);
  set_overlong(exchange, std::nullopt, false);
  return {};
}

Awaitable embeddings(Exchange& exchange) {
  EmbeddingsCall call;
  engine::Request& query = exchange.query;
  query.status = parse(exchange.request.body, memory_of(exchange).reader, call);
  if (query.status.ok()) query.status = fill(exchange, call);
  if (query.status.ok()) co_await exchange.answer();
  if (query.status.ok()) {
    const std::string model =
        call.model.empty() ? exchange.model + "." + exchange.task : call.model;
    query.status = append_embeddings(call, query, model, exchange.response.body);
  }
  if (query.status.ok()) add_truncated_headers(exchange);
}

/// When a file was last written; 0 where that cannot be said.
int64_t written_at(const std::string& path) {
  struct stat facts = {};
  return stat(path.c_str(), &facts) == 0 ? int64_t{facts.st_mtime} : 0;
}

/// A name that stands for one embedding task.
struct Listed {
  std::string name;
  std::string model;
};

/// Each embedding once, by its short name where that is unique.
std::vector<Listed> embeddings_of(const engine::Repository& repository) {
  std::vector<Listed> listed;
  const auto tasks = repository.tasks();
  for (const auto& [name, target, task] : *tasks) {
    if (task->kind != model::TaskKind::embedding) continue;
    const auto found = repository.find(task->name);
    const bool is_unique =
        found.ok() && found->model == target.model && found->tasks == target.tasks;
    listed.push_back({is_unique ? task->name : name, target.model_name});
  }
  return listed;
}

/// Of the artifact of a model.
int64_t created(const std::vector<engine::RepositoryEntry>& index, std::string_view model) {
  for (const engine::RepositoryEntry& entry : index) {
    if (entry.name == model) return written_at(entry.path);
  }
  return 0;
}

Status list_models(Exchange& exchange) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::Repository* repository, exchange.app.models());
  std::string& out = exchange.response.body;
  out += R"({"object":"list","data":[)";
  const std::vector<engine::RepositoryEntry> index = repository->index();
  bool is_first = true;
  for (const Listed& listed : embeddings_of(*repository)) {
    if (!std::exchange(is_first, false)) out += ',';
    append_model(listed.name, created(index, listed.model), out);
  }
  out += "]}";
  return {};
}

Status show_model(Exchange& exchange) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::Repository* repository, exchange.app.models());
  const std::string_view name = exchange.captures.front();
  TILEWISE_ASSIGN_OR_RETURN(const engine::Target target,
                            choose_task(*repository, name, {}, {Purpose::embed, {}}));
  append_model(name, created(repository->index(), target.model_name), exchange.response.body);
  return {};
}

Awaitable list(Exchange& exchange) {
  exchange.query.status = list_models(exchange);
  co_return;
}

Awaitable show(Exchange& exchange) {
  exchange.query.status = show_model(exchange);
  co_return;
}

}  // namespace
}  // namespace openai

std::span<const Endpoint> openai_endpoints() {
  using openai::write_error;
  static constexpr Endpoint kEndpoints[] = {
      {"POST", "/v1/embeddings", openai::embeddings, write_error, false, true},
      {"POST", "/embeddings", openai::embeddings, write_error, false, true},  // TEI has it, too
      {"GET", "/v1/models", openai::list, write_error},
      {"GET", "/v1/models/{model}", openai::show, write_error},
  };
  return kEndpoints;
}

}  // namespace tilewise::server
