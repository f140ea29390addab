#include "api/convert.h"

#include <utility>

namespace tilewise::api {
namespace {

model::Content to_content(const Content& content) {
  if (const auto* text = std::get_if<std::string>(&content)) return *text;
  model::Record record;
  for (const auto& [name, value] : std::get<Record>(content))
    record.fields.push_back({name, value});
  return record;
}

Status bad_option(const char* option, std::string expected, std::string found) {
  return invalid_argument({"An option has a value that it cannot have", option, std::move(expected),
                           std::move(found), ""});
}

}  // namespace

Result<engine::Options> to_engine(const OpenOptions& options) {
  engine::Options converted;
  if (!options.isa.empty()) {
    converted.isa = parse_isa(options.isa);
    if (!converted.isa) {
      return bad_option("OpenOptions::isa", isa_names(), options.isa);
    }
  }
  if (options.replicas < 0) {
    return bad_option("OpenOptions::replicas", "0 or more", std::to_string(options.replicas));
  }
  if (options.cores_per_replica < 1) {
    return bad_option("OpenOptions::cores_per_replica", "1 or more",
                      std::to_string(options.cores_per_replica));
  }
  converted.replicas = options.replicas;
  converted.cores_per_replica = options.cores_per_replica;
  converted.pin = options.pin;
  return converted;
}

Result<engine::PredictOptions> to_engine(const PredictOptions& options) {
  if (options.top < 0)
    return bad_option("PredictOptions::top", "0 or more", std::to_string(options.top));
  return engine::PredictOptions{.top = options.top,
                                .both_orders = options.both_orders,
                                .threshold = options.threshold,
                                .full_depth = options.full_depth};
}

model::Input to_input(const Content& text) { return model::TextInput{to_content(text)}; }

model::Input to_input(const Pair& pair) {
  return model::PairInput{to_content(pair.left), to_content(pair.right)};
}

std::vector<CalibrationInputs> to_inputs(const std::vector<Calibration>& calibration) {
  std::vector<CalibrationInputs> converted;
  for (const Calibration& rows : calibration) {
    CalibrationInputs inputs{rows.task, {}};
    for (const Content& text : rows.texts) inputs.inputs.push_back(to_input(text));
    for (const Pair& pair : rows.pairs) inputs.inputs.push_back(to_input(pair));
    converted.push_back(std::move(inputs));
  }
  return converted;
}

TaskInfo to_public(const model::Task& task) {
  return {.name = task.name,
          .kind = name_of(task.kind),
          .input = name_of(task.input),
          .labels = task.labels,
          .max_tokens = task.max_tokens,
          .exits = static_cast<int32_t>(task.exits.size())};
}

Prediction to_public(const model::Task& task, model::Prediction prediction) {
  Prediction converted;
  converted.score = prediction.score;
  for (const model::LabelScore& label : prediction.labels) {
    converted.labels.push_back({task.labels.at(static_cast<size_t>(label.label)), label.score});
  }
  if (task.kind == model::TaskKind::binary && prediction.over_threshold) {
    converted.label = task.labels.front();
  } else if (task.kind == model::TaskKind::multiclass && !converted.labels.empty()) {
    converted.label = converted.labels.front().label;
  }
  converted.out_of_scope = prediction.out_of_scope;
  converted.value = prediction.value;
  converted.embedding = std::move(prediction.embedding);
  converted.logits = std::move(prediction.logits);
  converted.truncated = prediction.truncated;
  converted.depth = prediction.depth;
  return converted;
}

}  // namespace tilewise::api
