#include "batch/settings.h"

#include <algorithm>

#include <simdjson.h>

#include "batch/memory.h"
#include "rows/writer.h"

namespace tilewise::batch {
namespace {

/// As the manifest's reader spells it, so that texts can be compared.
std::string canonical(const std::string& json) {
  simdjson::dom::parser parser;
  simdjson::dom::element value;
  return parser.parse(json).get(value) == simdjson::SUCCESS ? simdjson::to_string(value) : json;
}

std::string text(std::string_view value) {
  std::string json;
  rows::append_json_string(value, json);
  return json;
}

std::string text_or_null(std::string_view value) { return value.empty() ? "null" : text(value); }

std::string number_or_null(const std::optional<float>& value) {
  std::string json;
  if (value) rows::append_float(*value, json);
  return value ? json : "null";
}

std::string flag(bool value) { return value ? "true" : "false"; }

/// Without its quotes.
std::string_view inside(std::string_view json) {
  return json.size() < 2 ? json : json.substr(1, json.size() - 2);
}

}  // namespace

Settings Settings::of(const engine::Engine& engine, const Options& options,
                      const std::string& records) {
  Settings settings({
      {"model", text(engine.artifact().fingerprint())},
      {"tasks", text(options.tasks)},
      {"both_orders", flag(options.predict.both_orders)},
      {"top", std::to_string(options.predict.top)},
      {"threshold", number_or_null(options.predict.threshold)},
      {"logits", flag(options.format.logits)},
      {"input_format", text_or_null(options.input_format ? name_of(*options.input_format) : "")},
      {"output_format", text(name_of(options.format.format))},
      {"compress", text(name_of(options.compression))},
      {"scores", flag(options.write_scores)},
      {"rows_per_part", std::to_string(options.rows_per_part)},
      {"limit", std::to_string(options.limit)},
      {"shard",
       text(std::to_string(options.shard.index) + "/" + std::to_string(options.shard.count))},
      {"longest_line", std::to_string(longest_line(options.memory_bytes))},
      {"catalogs", text_or_null(records)},
      {"isa", text(engine.isa())},
  });
  if (const auto set = engine.find_tasks(options.tasks); set.ok() && engine.has_exits(*set)) {
    settings.values_.push_back({"full_depth", flag(options.predict.full_depth)});
  }
  for (Setting& setting : settings.values_) setting.value = canonical(setting.value);
  return settings;
}

std::string_view Settings::find(std::string_view name) const {
  const auto found =
      std::ranges::find_if(values_, [&](const Setting& setting) { return setting.name == name; });
  return found == values_.end() ? std::string_view() : found->value;
}

void Settings::add_isa_of(const Settings& earlier) {
  const std::string_view before = inside(earlier.find("isa"));
  const auto mine = std::ranges::find_if(values_, [](const Setting& s) { return s.name == "isa"; });
  if (before.empty() || mine == values_.end()) return;
  const std::string_view now = inside(mine->value);
  const std::string bounded = "+" + std::string(before) + "+";
  const bool is_known = bounded.find("+" + std::string(now) + "+") != std::string::npos;
  mine->value = text(std::string(before) + (is_known ? "" : "+" + std::string(now)));
}

std::vector<std::string> Settings::differences(const Settings& other) const {
  std::vector<std::string> names;
  for (const Setting& setting : values_) {
    if (other.find(setting.name) != setting.value) names.push_back(setting.name);
  }
  for (const Setting& setting : other.values_) {
    if (find(setting.name).empty()) names.push_back(setting.name);
  }
  return names;
}

std::string Settings::describe(std::span<const std::string> names) const {
  std::string described;
  for (const std::string& name : names) {
    if (!described.empty()) described += ", ";
    const std::string_view value = find(name);
    described += name + " " + (value.empty() ? "not set" : std::string(value));
  }
  return described;
}

}  // namespace tilewise::batch
