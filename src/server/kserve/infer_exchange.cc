#include "server/kserve/infer_exchange.h"

namespace tilewise::server::kserve {
namespace {

constexpr std::string_view kJsonBytesHeader = "Inference-Header-Content-Length";

}  // namespace

InferExchange& infer_exchange_of(Exchange& exchange) {
  if (auto* mine = dynamic_cast<InferExchange*>(exchange.memory.get())) return *mine;
  auto made = std::make_unique<InferExchange>();
  InferExchange& mine = *made;
  exchange.memory = std::move(made);
  return mine;
}

Status InferExchange::begin(std::string_view model, std::string_view version, Exchange& exchange) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::Repository* repository, exchange.app.models());
  TILEWISE_ASSIGN_OR_RETURN(const std::optional<size_t> json_bytes,
                            parse_json_bytes(exchange.request.header(kJsonBytesHeader)));
  call_.model = model;
  call_.version = version;
  TILEWISE_RETURN_IF_ERROR(reader_.read(exchange.request.body, json_bytes, call_));
  const Status status = prepare(call_, *repository, exchange.app.settings, exchange.query, target_);
  if (target_.model) {
    exchange.model = target_.model_name;
    engine::join_names(target_.model->metadata(), exchange.query.tasks, exchange.task);
  }
  return status;
}

void InferExchange::finish(Exchange& exchange) {
  if (exchange.query.status.ok()) exchange.query.status = write(exchange);
  target_.model.reset();  // an idle connection holds no model
}

Status InferExchange::write(Exchange& exchange) {
  TILEWISE_RETURN_IF_ERROR(collect(call_, exchange.query, outputs_));
  HttpResponse& response = exchange.response;
  const std::string truncated = truncated_inputs(exchange.query);
  const auto json_bytes =
      append_body({call_.model, target_.version, call_.id, truncated}, outputs_, response.body);
  if (!json_bytes) return {};
  response.content_type = "application/octet-stream";
  response.headers.emplace_back(kJsonBytesHeader, std::to_string(*json_bytes));
  return {};
}

}  // namespace tilewise::server::kserve
