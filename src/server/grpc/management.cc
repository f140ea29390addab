#include "server/grpc/management.h"

#include <cmath>
#include <span>

#include "server/grpc/simple_call.h"
#include "server/kserve/infer.h"
#include "server/kserve/model_json.h"

namespace tilewise::server {
namespace {

constexpr const char* kPlatform = "tilewise";

template <class Request>
Result<kserve::ModelDescription> describe(const App& app, const Request& request) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::Repository* repository, app.models());
  return kserve::describe(*repository, request.name(), request.version());
}

// ---------------------------------------------------------------------------------------------------------------------
// Health

Status server_live(const App&, const inference::ServerLiveRequest&,
                   inference::ServerLiveResponse& response) {
  response.set_live(true);
  return {};
}

Status server_ready(const App& app, const inference::ServerReadyRequest&,
                    inference::ServerReadyResponse& response) {
  response.set_ready(app.is_ready());
  return {};
}

/// A model that is known but not served is not ready; one that is not known is an error.
Status model_ready(const App& app, const inference::ModelReadyRequest& request,
                   inference::ModelReadyResponse& response) {
  const Status status = describe(app, request).status();
  response.set_ready(status.ok() && app.is_ready());
  return status.code() == StatusCode::unavailable ? Status() : status;
}

// ---------------------------------------------------------------------------------------------------------------------
// What there is

Status server_metadata(const App&, const inference::ServerMetadataRequest&,
                       inference::ServerMetadataResponse& response) {
  response.set_name("tilewise");
  response.set_version(TILEWISE_VERSION);
  for (const char* extension :
       {"classification", "model_repository", "model_configuration", "parameters", "statistics"}) {
    response.add_extensions(extension);
  }
  return {};
}

Status model_metadata(const App& app, const inference::ModelMetadataRequest& request,
                      inference::ModelMetadataResponse& response) {
  TILEWISE_ASSIGN_OR_RETURN(const kserve::ModelDescription model, describe(app, request));
  response.set_name(model.name);
  for (const std::string& version : model.versions) response.add_versions(version);
  response.set_platform(kPlatform);
  const auto fill = [](const kserve::TensorDescription& tensor, auto& out) {
    out.set_name(tensor.name);
    out.set_datatype(tensor.datatype);
    out.mutable_shape()->Add(tensor.shape.begin(), tensor.shape.end());
  };
  for (const auto& tensor : model.inputs) fill(tensor, *response.add_inputs());
  for (const auto& tensor : model.outputs) fill(tensor, *response.add_outputs());
  return {};
}

/// The first dimension is the batch, which a configuration leaves out.
template <class Message>
void fill_config_tensor(const kserve::TensorDescription& tensor, Message& out) {
  out.set_name(tensor.name);
  out.set_data_type(tensor.datatype == "BYTES"   ? inference::TYPE_STRING
                    : tensor.datatype == "INT64" ? inference::TYPE_INT64
                                                 : inference::TYPE_FP32);
  const std::span<const int64_t> dimensions = std::span(tensor.shape).subspan(1);
  if (dimensions.empty()) {
    out.add_dims(1);
    out.mutable_reshape();
  } else {
    out.mutable_dims()->Add(dimensions.begin(), dimensions.end());
  }
}

Status model_config(const App& app, const inference::ModelConfigRequest& request,
                    inference::ModelConfigResponse& response) {
  TILEWISE_ASSIGN_OR_RETURN(const kserve::ModelDescription model, describe(app, request));
  inference::ModelConfig& config = *response.mutable_config();
  config.set_name(model.name);
  config.set_platform(kPlatform);
  config.set_backend(kPlatform);
  config.mutable_version_policy()->mutable_latest()->set_num_versions(1);
  config.set_max_batch_size(app.settings.limits.batch_inputs);
  for (const auto& tensor : model.inputs) {
    auto& input = *config.add_input();
    fill_config_tensor(tensor, input);
    input.set_optional(true);  // either texts or tokens
  }
  for (const auto& tensor : model.outputs) fill_config_tensor(tensor, *config.add_output());
  auto& group = *config.add_instance_group();
  group.set_name("replicas");
  group.set_kind(inference::ModelInstanceGroup::KIND_CPU);
  group.set_count(app.service.replicas());
  return {};
}

// ---------------------------------------------------------------------------------------------------------------------
// Statistics

void fill_duration(int64_t count, double seconds, inference::StatisticDuration& out) {
  out.set_count(static_cast<uint64_t>(count));
  out.set_ns(static_cast<uint64_t>(std::llround(seconds * 1e9)));
}

void fill_statistics(const Metrics::Totals& totals, inference::ModelStatistics& out) {
  out.set_inference_count(static_cast<uint64_t>(totals.inputs));
  out.set_execution_count(static_cast<uint64_t>(totals.passes));
  auto& stats = *out.mutable_inference_stats();
  fill_duration(totals.success, totals.success_seconds, *stats.mutable_success());
  fill_duration(totals.failure, totals.failure_seconds, *stats.mutable_fail());
  fill_duration(totals.success, totals.queue_seconds, *stats.mutable_queue());
  fill_duration(totals.success, totals.tokenize_seconds, *stats.mutable_compute_input());
  fill_duration(totals.success, totals.compute_seconds, *stats.mutable_compute_infer());
  fill_duration(totals.success, 0, *stats.mutable_compute_output());
  fill_duration(totals.cache_hits, 0, *stats.mutable_cache_hit());
}

Status model_statistics(const App& app, const inference::ModelStatisticsRequest& request,
                        inference::ModelStatisticsResponse& response) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::Repository* repository, app.models());
  const auto add = [&](const std::string& name, const std::string& version,
                       const Metrics::Totals& totals) {
    auto& model = *response.add_model_stats();
    model.set_name(name);
    model.set_version(version);
    fill_statistics(totals, model);
  };
  if (request.name().empty()) {
    for (const engine::RepositoryEntry& entry : repository->index()) {
      if (entry.is_ready) add(entry.name, entry.version, app.metrics.totals(entry.name, {}));
    }
    return {};
  }
  TILEWISE_ASSIGN_OR_RETURN(const engine::Target target,
                            repository->find(request.name(), request.version()));
  add(request.name(), target.version, kserve::totals_of(app.metrics, target, request.name()));
  return {};
}

// ---------------------------------------------------------------------------------------------------------------------
// The repository

Status repository_index(const App& app, const inference::RepositoryIndexRequest& request,
                        inference::RepositoryIndexResponse& response) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::Repository* repository, app.models());
  for (const engine::RepositoryEntry& entry : repository->index()) {
    if (request.ready() && !entry.is_ready) continue;
    auto& model = *response.add_models();
    model.set_name(entry.name);
    model.set_version(entry.version);
    model.set_state(entry.is_ready ? "READY" : "UNAVAILABLE");
    model.set_reason(entry.reason);
  }
  return {};
}

template <class Request>
Status check_parameters(const Request& request) {
  for (const auto& [key, value] : request.parameters()) {
    if (key != "config" && !key.starts_with("file:")) continue;
    return unsupported({.what = "a model cannot be configured by a request",
                        .where = "parameters." + key.substr(0, 200),
                        .remedy = "Put another artifact into the repository"});
  }
  return {};
}

Status repository_load(const App& app, const inference::RepositoryModelLoadRequest& request,
                       inference::RepositoryModelLoadResponse&) {
  TILEWISE_RETURN_IF_ERROR(check_parameters(request));
  TILEWISE_ASSIGN_OR_RETURN(engine::Repository * repository, app.models());
  return repository->load(request.model_name());
}

Status repository_unload(const App& app, const inference::RepositoryModelUnloadRequest& request,
                         inference::RepositoryModelUnloadResponse&) {
  TILEWISE_RETURN_IF_ERROR(check_parameters(request));
  TILEWISE_ASSIGN_OR_RETURN(engine::Repository * repository, app.models());
  return repository->unload(request.model_name());
}

// ---------------------------------------------------------------------------------------------------------------------
// All of them

using Service = inference::GRPCInferenceService::AsyncService;

/// The generated class inherits each method from a base of its own.
template <class Base, class Request, class Response>
using Ask = void (Base::*)(grpc::ServerContext*, Request*,
                           grpc::ServerAsyncResponseWriter<Response>*, grpc::CompletionQueue*,
                           grpc::ServerCompletionQueue*, void*);

class Methods {
 public:
  Methods(Shared& shared, Loop& loop) : shared_(shared), loop_(loop) {}

  template <class Base, class Request, class Response>
  void add(Ask<Base, Request, Response> ask,
           Status (*answer)(const App&, const Request&, Response&), bool is_open = false,
           bool is_long = false) {
    accept(shared_, shared_.inference, loop_,
           SimpleMethod<Service, Request, Response>{ask, answer, is_open, is_long});
  }

 private:
  Shared& shared_;
  Loop& loop_;
};

}  // namespace

void accept_management_calls(Shared& shared, Loop& loop) {
  Methods methods(shared, loop);
  methods.add(&Service::RequestServerLive, server_live, true);
  methods.add(&Service::RequestServerReady, server_ready, true);
  methods.add(&Service::RequestModelReady, model_ready, true);
  methods.add(&Service::RequestServerMetadata, server_metadata);
  methods.add(&Service::RequestModelMetadata, model_metadata);
  methods.add(&Service::RequestModelConfig, model_config);
  methods.add(&Service::RequestModelStatistics, model_statistics);
  methods.add(&Service::RequestRepositoryIndex, repository_index);
  methods.add(&Service::RequestRepositoryModelLoad, repository_load, false, true);
  methods.add(&Service::RequestRepositoryModelUnload, repository_unload, false, true);
}

}  // namespace tilewise::server
