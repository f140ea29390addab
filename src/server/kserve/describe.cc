// What a model takes and gives.
#include <algorithm>

#include "server/kserve/infer.h"
#include "server/kserve/outputs.h"

namespace tilewise::server::kserve {
namespace {

constexpr int64_t kAny = -1;

void add_inputs(const artifact::Metadata& metadata, const engine::TaskSet& tasks,
                ModelDescription& description) {
  const auto reads = [&](model::InputKind kind) {
    return std::any_of(tasks.begin(), tasks.end(),
                       [&](int32_t task) { return metadata.tasks[task].task.input == kind; });
  };
  auto& inputs = description.inputs;
  // [n] is taken as well, but perf_analyzer cannot send an input of the batch dimension alone.
  const std::vector<int64_t> column = {kAny, 1};
  if (reads(model::InputKind::text)) inputs.push_back({"text", "BYTES", column});
  if (reads(model::InputKind::pair)) {
    inputs.push_back({"left", "BYTES", column});
    inputs.push_back({"right", "BYTES", column});
  }
  for (const char* name : {"input_ids", "attention_mask", "token_type_ids"}) {
    inputs.push_back({name, "INT64", {kAny, kAny}});
  }
}

void add_outputs(const artifact::Metadata& metadata, const engine::TaskSet& tasks,
                 ModelDescription& description) {
  for (size_t t = 0; t < tasks.size(); ++t) {
    const model::Task& task = metadata.tasks[tasks[t]].task;
    for (const OutputKind kind : outputs_of(task)) {
      TensorDescription output{output_name(metadata, tasks, t, kind), "FP32", {kAny}};
      if (kind == OutputKind::label) {
        output.datatype = "BYTES";
      } else if (kind != OutputKind::depth) {
        output.shape.push_back(kind == OutputKind::embedding ? metadata.spec.hidden
                                                             : task.outputs());
      }
      description.outputs.push_back(std::move(output));
    }
  }
}

}  // namespace

Result<ModelDescription> describe(const engine::Repository& repository, std::string_view name,
                                  std::string_view version) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::Target target, repository.find(name, version));
  const artifact::Metadata& metadata = target.model->metadata();
  engine::TaskSet tasks = target.tasks;
  for (size_t i = 0; target.tasks.empty() && i < metadata.tasks.size(); ++i) {
    tasks.push_back(static_cast<int32_t>(i));
  }
  ModelDescription description;
  description.name = name;
  description.versions = {target.version};
  add_inputs(metadata, tasks, description);
  add_outputs(metadata, tasks, description);
  return description;
}

}  // namespace tilewise::server::kserve
