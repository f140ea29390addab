#include "server/operation/tasks_json.h"

#include <cmath>
#include <set>

#include "base/isa.h"
#include "rows/json_writer.h"

namespace tilewise::server::operation {
namespace {

void write_threshold(const model::Task& task, rows::JsonWriter& json) {
  json.key("threshold");
  if (task.kind != model::TaskKind::binary && task.kind != model::TaskKind::multilabel) {
    json.null();
    return;
  }
  // The task's is on the logit; scores are probabilities.
  const double logit = double{task.threshold.value_or(0)} / task.temperature;
  json.float32(static_cast<float>(1 / (1 + std::exp(-logit))));
}

void write_task(const std::string& model, const model::Task& task, rows::JsonWriter& json) {
  json.begin_object().key("name").string(model + "." + task.name).key("task").string(task.name);
  json.key("kind").string(model::name_of(task.kind));
  json.key("input").string(model::name_of(task.input));
  json.key("labels").begin_array();
  for (const std::string& label : task.labels) json.string(label);
  json.end_array().key("max_tokens").integer(task.max_tokens).key("fields").begin_array();
  for (const model::InputTemplate::Field& field : task.record_template.fields) {
    json.string(field.name);
  }
  json.end_array();
  write_threshold(task, json);
  json.key("out_of_scope").boolean(task.out_of_scope.has_value());
  json.key("exits").begin_array();
  for (const model::Exit& exit : task.exits) json.integer(exit.after_layer);
  json.end_array().end_object();
}

void write_model(const engine::RepositoryEntry& entry, rows::JsonWriter& json) {
  json.begin_object().key("name").string(entry.name).key("version").string(entry.version);
  json.key("ready").boolean(entry.is_ready);
  if (entry.model == nullptr) {
    json.key("reason").string(entry.reason).key("tasks").begin_array().end_array().end_object();
    return;
  }
  const artifact::Metadata& metadata = entry.model->metadata();
  json.key("precision").string(model::name_of(metadata.precision)).key("tasks").begin_array();
  for (const artifact::TaskEntry& task : metadata.tasks) write_task(entry.name, task.task, json);
  json.end_array().end_object();
}

std::vector<engine::RepositoryEntry> index_of(const App& app) {
  const engine::Repository* const repository = app.repository.load(std::memory_order_acquire);
  return repository == nullptr ? std::vector<engine::RepositoryEntry>() : repository->index();
}

}  // namespace

std::string isa_of(const App& app) {
  std::set<std::string> all;
  for (const engine::RepositoryEntry& entry : index_of(app)) {
    if (entry.model != nullptr) all.insert(entry.model->loaded().kernels().isa());
  }
  if (all.empty()) return name_of(supported_isas(cpu_features()).back());
  std::string joined;
  for (const std::string& isa : all) joined += (joined.empty() ? "" : ",") + isa;
  return joined;
}

std::string tasks_json(const App& app) {
  rows::JsonWriter json;
  json.begin_object().key("version").string(TILEWISE_VERSION).key("isa").string(isa_of(app));
  json.key("replicas").integer(app.service.replicas());
  json.key("cores_per_replica").integer(app.service.cores_per_replica());
  json.key("deadline_ms").integer(app.settings.deadline.count());
  json.key("ready").boolean(app.is_ready()).key("models").begin_array();
  for (const engine::RepositoryEntry& entry : index_of(app)) write_model(entry, json);
  json.end_array().end_object();
  return json.text();
}

}  // namespace tilewise::server::operation
