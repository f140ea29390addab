#include "server/kserve/model_json.h"

#include <cmath>

#include <simdjson.h>

#include "rows/json_writer.h"

namespace tilewise::server::kserve {
namespace {

using rows::JsonWriter;

constexpr const char* kPlatform = "tilewise";

void write_shape(std::span<const int64_t> shape, JsonWriter& json) {
  json.begin_array();
  for (const int64_t dimension : shape) json.integer(dimension);
  json.end_array();
}

void write_tensors(const std::vector<TensorDescription>& tensors, JsonWriter& json) {
  json.begin_array();
  for (const TensorDescription& tensor : tensors) {
    json.begin_object().key("name").string(tensor.name);
    json.key("datatype").string(tensor.datatype).key("shape");
    write_shape(tensor.shape, json);
    json.end_object();
  }
  json.end_array();
}

/// A tensor of the configuration. One that has only the batch dimension is, in Triton's words, one
/// element that is reshaped to none.
void write_config_tensors(const std::vector<TensorDescription>& tensors, bool are_inputs,
                          JsonWriter& json) {
  json.begin_array();
  for (const TensorDescription& tensor : tensors) {
    const bool is_text = tensor.datatype == "BYTES";
    const std::span<const int64_t> dimensions = std::span(tensor.shape).subspan(1);
    json.begin_object().key("name").string(tensor.name);
    json.key("data_type").string("TYPE_" + (is_text ? std::string("STRING") : tensor.datatype));
    json.key("dims");
    if (dimensions.empty()) {
      json.begin_array().integer(1).end_array();
      json.key("reshape").begin_object().key("shape").begin_array().end_array().end_object();
    } else {
      write_shape(dimensions, json);
    }
    if (are_inputs) json.key("optional").boolean(true);  // either texts or tokens
    json.end_object();
  }
  json.end_array();
}

void write_duration(const char* name, int64_t count, double seconds, JsonWriter& json) {
  json.key(name).begin_object().key("count").integer(count);
  json.key("ns").integer(std::llround(seconds * 1e9)).end_object();
}

void write_totals(const ModelTotals& model, JsonWriter& json) {
  const Metrics::Totals& totals = model.totals;
  json.begin_object().key("name").string(model.name).key("version").string(model.version);
  json.key("inference_count").integer(totals.inputs);
  json.key("execution_count").integer(totals.passes);
  json.key("inference_stats").begin_object();
  write_duration("success", totals.success, totals.success_seconds, json);
  write_duration("fail", totals.failure, totals.failure_seconds, json);
  write_duration("queue", totals.success, totals.queue_seconds, json);
  write_duration("compute_input", totals.success, totals.tokenize_seconds, json);
  write_duration("compute_infer", totals.success, totals.compute_seconds, json);
  write_duration("compute_output", totals.success, 0, json);
  write_duration("cache_hit", totals.cache_hits, 0, json);
  json.end_object();
  json.key("batch_stats").begin_array().end_array();
  json.end_object();
}

/// Calls `read` with the body's object; an empty body is an empty object.
template <class Read>
Status read_object(std::string_view body, Read read) {
  if (body.empty()) return {};
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  const auto error = parser.parse(body.data(), body.size()).get_object().get(object);
  if (error == simdjson::SUCCESS) return read(object);
  return invalid_argument({.what = "the body is not valid JSON",
                           .expected = "one JSON object, or nothing",
                           .found = simdjson::error_message(error)});
}

}  // namespace

std::string server_json(std::string_view version) {
  JsonWriter json;
  json.begin_object().key("name").string("tilewise").key("version").string(version);
  json.key("extensions").begin_array();
  for (const char* extension : {"classification", "model_repository", "model_configuration",
                                "binary_tensor_data", "parameters", "statistics"}) {
    json.string(extension);
  }
  json.end_array().end_object();
  return json.text();
}

std::string metadata_json(const ModelDescription& model) {
  JsonWriter json;
  json.begin_object().key("name").string(model.name).key("versions").begin_array();
  for (const std::string& version : model.versions) json.string(version);
  json.end_array().key("platform").string(kPlatform).key("inputs");
  write_tensors(model.inputs, json);
  json.key("outputs");
  write_tensors(model.outputs, json);
  json.end_object();
  return json.text();
}

std::string config_json(const ModelDescription& model, int32_t most_inputs, int32_t replicas) {
  JsonWriter json;
  json.begin_object().key("name").string(model.name);
  json.key("platform").string(kPlatform).key("backend").string(kPlatform);
  json.key("version_policy").begin_object();
  json.key("latest").begin_object().key("num_versions").integer(1).end_object().end_object();
  json.key("max_batch_size").integer(most_inputs).key("input");
  write_config_tensors(model.inputs, true, json);
  json.key("output");
  write_config_tensors(model.outputs, false, json);
  json.key("instance_group").begin_array().begin_object();
  json.key("name").string("replicas").key("kind").string("KIND_CPU");
  json.key("count").integer(replicas).end_object().end_array();
  json.end_object();
  return json.text();
}

Metrics::Totals totals_of(const Metrics& metrics, const engine::Target& target,
                          std::string_view name) {
  const bool is_one_task = target.tasks.size() == 1 && name != target.model_name;
  const std::string task =
      is_one_task ? target.model->metadata().tasks[target.tasks.front()].task.name : "";
  return metrics.totals(target.model_name, task);
}

std::string statistics_json(const std::vector<ModelTotals>& models) {
  JsonWriter json;
  json.begin_object().key("model_stats").begin_array();
  for (const ModelTotals& model : models) write_totals(model, json);
  json.end_array().end_object();
  return json.text();
}

std::string index_json(const std::vector<engine::RepositoryEntry>& entries, bool only_ready) {
  JsonWriter json;
  json.begin_array();
  for (const engine::RepositoryEntry& entry : entries) {
    if (only_ready && !entry.is_ready) continue;
    json.begin_object().key("name").string(entry.name).key("version").string(entry.version);
    json.key("state").string(entry.is_ready ? "READY" : "UNAVAILABLE");
    json.key("reason").string(entry.reason);
    json.key("tasks").begin_array();
    if (entry.model) {
      for (const auto& task : entry.model->metadata().tasks) json.string(task.task.name);
    }
    json.end_array().end_object();
  }
  json.end_array();
  return json.text();
}

Result<bool> parse_only_ready(std::string_view body) {
  bool only_ready = false;
  TILEWISE_RETURN_IF_ERROR(read_object(body, [&](simdjson::dom::object object) -> Status {
    simdjson::dom::element ready;
    if (object.at_key("ready").get(ready) != simdjson::SUCCESS) return {};
    if (ready.get_bool().get(only_ready) == simdjson::SUCCESS) return {};
    return invalid_argument(
        {.what = "a field has the wrong type", .where = "ready", .expected = "true or false"});
  }));
  return only_ready;
}

Status check_repository_parameters(std::string_view body) {
  return read_object(body, [](simdjson::dom::object object) -> Status {
    simdjson::dom::object parameters;
    if (object.at_key("parameters").get_object().get(parameters) != simdjson::SUCCESS) return {};
    for (const auto& [key, value] : parameters) {
      if (key != "config" && !key.starts_with("file:")) continue;
      return unsupported({.what = "a model cannot be configured by a request",
                          .where = "parameters." + std::string(key),
                          .remedy = "Put another artifact into the repository"});
    }
    return {};
  });
}

}  // namespace tilewise::server::kserve
