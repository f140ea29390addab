#include "server/tei/fill.h"

#include <memory>
#include <string>
#include <utility>

#include "server/kserve/infer.h"
#include "server/sagemaker/rows_call.h"

namespace tilewise::server {

CallMemory& memory_of(Exchange& exchange) {
  if (auto* mine = dynamic_cast<CallMemory*>(exchange.memory.get())) return *mine;
  auto made = std::make_unique<CallMemory>();
  CallMemory& mine = *made;
  exchange.memory = std::move(made);
  return mine;
}

Status check_ready(const Exchange& exchange) {
  if (exchange.app.is_ready()) return {};
  return unavailable({.what = "The server is not ready",
                      .remedy = "It is starting or about to stop: ask another, or again later"});
}

std::string parameter(const Exchange& exchange, std::string_view name) {
  std::string value = exchange.request.query_value(name);
  if (!value.empty()) return value;
  return std::string(
      sagemaker::attribute(exchange.request.header("X-Amzn-SageMaker-Custom-Attributes"), name));
}

Status choose(Exchange& exchange, std::string_view named, const Wanted& wanted) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::Repository* repository, exchange.app.models());
  const std::string in_query = named.empty() ? parameter(exchange, "task") : std::string();
  const std::string_view asked = named.empty() ? std::string_view(in_query) : named;
  TILEWISE_ASSIGN_OR_RETURN(
      engine::Target target,
      choose_task(*repository, asked, exchange.app.settings.default_task, wanted));
  aim(exchange, std::move(target));
  return {};
}

void aim(Exchange& exchange, engine::Target target) {
  exchange.model = target.model_name;
  engine::join_names(target.model->metadata(), target.tasks, exchange.task);
  exchange.query.model = std::move(target.model);
  exchange.query.tasks = std::move(target.tasks);
}

Status check_batch(const Exchange& exchange, size_t inputs) {
  const int32_t most = exchange.app.settings.limits.batch_inputs;
  if (inputs <= static_cast<size_t>(most)) return {};
  return too_large({.what = "The request has more inputs than the server takes",
                    .expected = "at most " + std::to_string(most),
                    .found = std::to_string(inputs),
                    .remedy = "Split it"});
}

void set_overlong(Exchange& exchange, std::optional<bool> truncate, bool cut_left) {
  using engine::Overlong;
  const bool cut = truncate.value_or(exchange.app.settings.auto_truncate);
  exchange.query.overlong = !cut       ? Overlong::refuse
                            : cut_left ? Overlong::cut_left
                                       : Overlong::cut_right;
}

void add_truncated_headers(Exchange& exchange) {
  std::string inputs = kserve::truncated_inputs(exchange.query);
  if (inputs.empty()) return;
  exchange.response.headers.emplace_back("x-truncated", "true");
  exchange.response.headers.emplace_back("x-truncated-inputs", std::move(inputs));
}

}  // namespace tilewise::server
