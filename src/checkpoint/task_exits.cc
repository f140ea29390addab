#include "checkpoint/task_exits.h"

#include <algorithm>
#include <optional>

namespace tilewise::checkpoint {
namespace {

/// Reads one element of "exits". What was wrong with it is in the report.
class ExitReader {
 public:
  ExitReader(const JsonObject& object, const model::Task& task, bool has_scope)
      : object_(object), task_(task), has_scope_(has_scope) {}

  model::Exit read(int32_t first_layer, int32_t last_layer) {
    object_.refuse_other_keys({"after_layer", "head", "confidence", "temperature", "below"});
    model::Exit exit;
    exit.after_layer =
        object_.required_integer("after_layer", first_layer, last_layer).value_or(first_layer);
    exit.confidence = read_confidence();
    if (object_.has("temperature")) exit.temperature = read_temperature();
    exit.below = read_below();
    return exit;
  }

 private:
  float read_confidence() {
    if (!object_.has("confidence")) {
      object_.missing("confidence");
      return 1;
    }
    const bool is_binary = task_.kind == model::TaskKind::binary;
    const size_t classes = is_binary ? 2 : std::max<size_t>(2, task_.labels.size());
    const auto value = object_.number("confidence");
    const auto confidence = static_cast<float>(value.value_or(1));
    if (confidence > 1.0 / static_cast<double>(classes) && confidence <= 1) return confidence;
    object_.wrong("confidence", "a number over 1/" + std::to_string(classes) +
                                    ", which every answer has, up to 1");
    return 1;
  }

  float read_temperature() {
    const auto value = object_.number("temperature");
    const auto temperature = static_cast<float>(value.value_or(1));
    if (!(temperature > 0)) object_.wrong("temperature", "a number over 0");
    return temperature;
  }

  std::optional<float> read_below() {
    if (!object_.has("below")) {
      if (has_scope_) object_.missing("below");
      return std::nullopt;
    }
    if (!has_scope_) object_.wrong("below", "no such field, as the task has no out_of_scope");
    const auto value = object_.number("below");
    return value ? std::optional(static_cast<float>(*value)) : std::nullopt;
  }

  const JsonObject& object_;
  const model::Task& task_;
  bool has_scope_;
};

}  // namespace

std::vector<std::string> read_exits(const JsonObject& object, int32_t layers, model::Task& task) {
  std::vector<std::string> heads;
  const auto entries = object.array("exits");
  if (!entries) return heads;
  const int32_t last_layer = layers > 0 ? layers - 1 : kNoLimit;
  int32_t first_layer = 1;
  for (const JsonObject::Element& entry : *entries) {
    const auto exit = object.as_object(entry);
    if (!exit) continue;
    if (first_layer > last_layer) {
      object.wrong("exits", "exits behind different layers, upwards, before the last of " +
                                std::to_string(layers));
      return heads;
    }
    task.exits.push_back(
        ExitReader(*exit, task, object.has("out_of_scope")).read(first_layer, last_layer));
    first_layer = task.exits.back().after_layer + 1;
    heads.push_back(exit->required_string("head").value_or(""));
  }
  return heads;
}

}  // namespace tilewise::checkpoint
